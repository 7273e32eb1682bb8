// The tensors of a GPT-2 as other programs name them: one tensor for each layer, where inkling's table
// (nn/gpt2_config.h) stacks the layers.
//
//   inkling    Hugging Face            GGUF                   shape in inkling, of one layer
//   wte        wte.weight              token_embd.weight      (V, C)   without the rows that pad it to Vp
//   qkvw       h.N.attn.c_attn.weight  blk.N.attn_qkv.weight  (3C, C)
//   ...        (the whole table is in gpt2_names.cc)
//
// inkling and GGUF store a matrix as [out, in]. In Hugging Face's GPT-2, the four matrices of a layer belong
// to a module named Conv1D, which stores them as [in, out]. So these four are transposed. attn.c_proj is
// square: its shape does not show whether it is transposed. This file does not know files.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor.h"
#include "nn/gpt2_config.h"

namespace inkling {

// LayerTensor: one tensor of one layer. `layer` is 0 if the tensor is not stacked.
struct LayerTensor {
  GPT2Tensor tensor;
  std::int64_t layer = 0;

  bool operator==(const LayerTensor&) const = default;
};

// All tensors of a model, in the order in which the model uses them: the embeddings, layer after layer, the
// last norm.
std::vector<LayerTensor> layer_tensors(const GPT2Config& config);
// The index of a tensor in layer_tensors().
std::size_t index_of(const LayerTensor& tensor, const GPT2Config& config);
// The shape of a tensor: (out, in) for a matrix. The token embedding is (V, C).
Shape shape_of(const LayerTensor& tensor, const GPT2Config& config);

// Whether Hugging Face stores this tensor as [in, out].
bool is_conv1d(GPT2Tensor tensor);

std::string huggingface_name(const LayerTensor& tensor);
std::string gguf_name(const LayerTensor& tensor);

// Returns the tensor with this name in Hugging Face's GPT-2, or nothing. The name may begin with
// "transformer.". The layer may be any number.
std::optional<LayerTensor> parse_huggingface_name(std::string_view name);
// Whether a Hugging Face file may contain this tensor although it has no weights: the causal mask and its
// value (attn.bias, attn.masked_bias).
bool is_huggingface_mask(std::string_view name);

}  // namespace inkling
