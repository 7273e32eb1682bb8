#include "apps/interop/gpt2_names.h"

#include <charconv>

#include "core/error.h"

namespace inkling {

namespace {

struct Names {
  const char* huggingface;  // of a stacked tensor: after "h.N."
  const char* gguf;         // of a stacked tensor: after "blk.N."
  bool conv1d = false;
};

constexpr Names kNames[kGPT2Tensors] = {
    {"wte.weight", "token_embd.weight"},                 // wte
    {"wpe.weight", "position_embd.weight"},              // wpe
    {"ln_1.weight", "attn_norm.weight"},                 // ln1w
    {"ln_1.bias", "attn_norm.bias"},                     // ln1b
    {"attn.c_attn.weight", "attn_qkv.weight", true},     // qkvw
    {"attn.c_attn.bias", "attn_qkv.bias"},               // qkvb
    {"attn.c_proj.weight", "attn_output.weight", true},  // attprojw
    {"attn.c_proj.bias", "attn_output.bias"},            // attprojb
    {"ln_2.weight", "ffn_norm.weight"},                  // ln2w
    {"ln_2.bias", "ffn_norm.bias"},                      // ln2b
    {"mlp.c_fc.weight", "ffn_up.weight", true},          // fcw
    {"mlp.c_fc.bias", "ffn_up.bias"},                    // fcb
    {"mlp.c_proj.weight", "ffn_down.weight", true},      // fcprojw
    {"mlp.c_proj.bias", "ffn_down.bias"},                // fcprojb
    {"ln_f.weight", "output_norm.weight"},               // lnfw
    {"ln_f.bias", "output_norm.bias"},                   // lnfb
};

constexpr std::size_t kFirstOfLayer = kLn1w, kTensorsOfLayer = kFcprojb - kLn1w + 1;

// Removes a prefix from the text. Returns false if the text does not start with it.
bool remove_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// A name without "transformer." and "h.N.".
struct SplitName {
  std::optional<std::int64_t> layer;  // nothing: the name does not start with "h.N."
  std::string_view rest;
};

SplitName split(std::string_view name) {
  remove_prefix(name, "transformer.");
  std::string_view rest = name;
  if (!remove_prefix(rest, "h.")) return {std::nullopt, name};
  std::int32_t layer = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), layer);
  const auto digits = static_cast<std::size_t>(end - rest.data());
  // A number has only one spelling: no sign and no leading zeros.
  if (error != std::errc{} || layer < 0 || rest.substr(0, digits) != std::to_string(layer))
    return {std::nullopt, name};
  rest.remove_prefix(digits);
  if (!remove_prefix(rest, ".")) return {std::nullopt, name};
  return {layer, rest};
}

}  // namespace

std::vector<LayerTensor> layer_tensors(const GPT2Config& config) {
  std::vector<LayerTensor> all = {{kWte}, {kWpe}};
  for (std::int64_t layer = 0; layer < config.layers; ++layer) {
    for (std::size_t t = 0; t < kTensorsOfLayer; ++t)
      all.push_back({static_cast<GPT2Tensor>(kFirstOfLayer + t), layer});
  }
  all.push_back({kLnfw});
  all.push_back({kLnfb});
  return all;
}

std::size_t index_of(const LayerTensor& tensor, const GPT2Config& config) {
  if (tensor.tensor < kFirstOfLayer) return tensor.tensor;
  const auto layers = static_cast<std::size_t>(is_stacked(tensor.tensor) ? tensor.layer : config.layers);
  const std::size_t within = tensor.tensor - (is_stacked(tensor.tensor) ? kFirstOfLayer : kLnfw);
  return kFirstOfLayer + layers * kTensorsOfLayer + within;
}

Shape shape_of(const LayerTensor& tensor, const GPT2Config& config) {
  const std::int64_t C = config.channels;
  switch (tensor.tensor) {
    case kWte:
      return {config.vocab_size, C};
    case kWpe:
      return {config.max_seq_len, C};
    case kQkvw:
      return {3 * C, C};
    case kAttprojw:
      return {C, C};
    case kFcw:
      return {4 * C, C};
    case kFcprojw:
      return {C, 4 * C};
    case kQkvb:
      return {3 * C};
    case kFcb:
      return {4 * C};
    default:
      return {C};
  }
}

bool is_conv1d(GPT2Tensor tensor) {
  return kNames[tensor].conv1d;
}

std::string huggingface_name(const LayerTensor& tensor) {
  const char* name = kNames[tensor.tensor].huggingface;
  return is_stacked(tensor.tensor) ? str("h.", tensor.layer, ".", name) : name;
}

std::string gguf_name(const LayerTensor& tensor) {
  const char* name = kNames[tensor.tensor].gguf;
  return is_stacked(tensor.tensor) ? str("blk.", tensor.layer, ".", name) : name;
}

std::optional<LayerTensor> parse_huggingface_name(std::string_view name) {
  const SplitName parts = split(name);
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const auto tensor = static_cast<GPT2Tensor>(t);
    if (is_stacked(tensor) == parts.layer.has_value() && parts.rest == kNames[t].huggingface)
      return LayerTensor{tensor, parts.layer.value_or(0)};
  }
  return std::nullopt;
}

bool is_huggingface_mask(std::string_view name) {
  const SplitName parts = split(name);
  return parts.layer.has_value() && (parts.rest == "attn.bias" || parts.rest == "attn.masked_bias");
}

}  // namespace inkling
