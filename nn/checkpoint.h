// Reads and writes llm.c's model checkpoints. Version 3 holds float32; version 5 holds bfloat16 (all tensors,
// also the norms).
//
// A file has a header of 256 int32 (magic 20240326, version, maxT, V, L, NH, C, Vp), then the 16 tensors of
// nn/gpt2_config.h. A tensor that each layer has is stacked over the layers. The reader allocates memory only
// after it has checked the header and has compared the file's real size with the size that the header
// implies.
#pragma once

#include <string>

#include "core/binary_file.h"
#include "core/tensor.h"
#include "nn/file_header.h"
#include "nn/gpt2.h"

namespace inkling {

constexpr std::int32_t kModelMagic = 20240326;

struct ModelHeader {
  GPT2Config config;
  DType dtype = DType::f32;
};

// Reads and checks the header of a model file. Afterwards `in` is at the first weight. Error unless the rest
// of the file has exactly the weights of this model.
ModelHeader read_model_header(ByteReader& in);

// Returns the header of a model file. Error unless the dtype is f32 or bf16, the dtypes that a file can have.
Header model_header(const GPT2Config& config, DType dtype, const std::string& path);

GPT2 load_model(const std::string& path);
GPT2 load_model(ByteReader& in);

// Error unless all weights are finite numbers. The Error names the file `path`, the tensor and the weight.
void expect_finite(GPT2& model, const std::string& path);

// Saves the weights as f32, or rounds them to bf16 (to nearest, ties to even). Error unless the number of
// `weights` is the number of weights of a model with this config.
void save_model(const std::string& path, const GPT2Config& config, std::span<const float> weights,
                DType dtype = DType::f32, FolderSync folder = FolderSync::now);

}  // namespace inkling
