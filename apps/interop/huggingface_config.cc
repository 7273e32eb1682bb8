#include "apps/interop/huggingface_config.h"

#include <cmath>
#include <limits>

#include "apps/run/strict_json.h"
#include "core/error.h"
#include "ops/layernorm.h"

namespace inkling {

namespace {

// Returns a dimension. GPT2Config::check() then compares it with its range.
std::int64_t dimension(const JsonObject& file, const char* key) {
  return file.integer(key, 1, std::numeric_limits<std::int32_t>::max());
}

void expect_flag(const JsonObject& file, const std::string& path, const char* key, bool expected) {
  if (file.has(key) && file.boolean(key) != expected)
    fail(path, ": ", key, " is ", expected ? "false" : "true", ", expected ", expected ? "true" : "false",
         ", as in GPT-2");
}

// Checks the settings that change what the model computes. A missing setting has GPT-2's value.
void check_settings(const JsonObject& file, const nlohmann::json& json, const std::string& path,
                    std::int64_t channels) {
  if (file.has("model_type") && file.text("model_type") != "gpt2")
    fail(path, ": model_type is ", json["model_type"].dump(), ", expected \"gpt2\"");
  if (file.has("activation_function")) {
    const std::string activation = file.text("activation_function");
    if (activation != "gelu_new" && activation != "gelu_pytorch_tanh")
      fail(path, ": activation_function is ", json["activation_function"].dump(),
           ", expected \"gelu_new\", the GELU of GPT-2");
  }
  // kLayerNormEps is a float; the file has a double.
  if (file.has("layer_norm_epsilon") &&
      std::abs(file.number("layer_norm_epsilon") / static_cast<double>(kLayerNormEps) - 1) > 1e-6)
    fail(path, ": layer_norm_epsilon is ", file.number("layer_norm_epsilon"), ", expected ", kLayerNormEps);
  if (file.has("n_inner") && !json["n_inner"].is_null() && dimension(file, "n_inner") != 4 * channels)
    fail(path, ": n_inner is ", json["n_inner"].dump(), ", expected null or 4 n_embd = ", 4 * channels);
  expect_flag(file, path, "scale_attn_weights", true);
  expect_flag(file, path, "scale_attn_by_inverse_layer_idx", false);
  expect_flag(file, path, "add_cross_attention", false);
}

}  // namespace

GPT2Config parse_huggingface_config(const nlohmann::json& json, const std::string& path, bool has_head) {
  const JsonObject file(json, path);
  const auto dim = [&](const char* key) { return dimension(file, key); };
  const GPT2Config config{.max_seq_len = dim("n_positions"),
                          .vocab_size = dim("vocab_size"),
                          .layers = dim("n_layer"),
                          .heads = dim("n_head"),
                          .channels = dim("n_embd")};
  config.check(path);
  check_settings(file, json, path, config.channels);
  if (!has_head) expect_flag(file, path, "tie_word_embeddings", true);
  return config;
}

GPT2Config read_huggingface_config(const std::string& path, bool has_head) {
  return parse_huggingface_config(read_json(path), path, has_head);
}

std::string huggingface_config_text(const GPT2Config& config, FloatType type, std::int32_t end_of_text) {
  const char* dtype = type == FloatType::f32 ? "float32" : type == FloatType::f16 ? "float16" : "bfloat16";
  const nlohmann::ordered_json file = {
      {"architectures", {"GPT2LMHeadModel"}},
      {"model_type", "gpt2"},
      {"n_layer", config.layers},
      {"n_head", config.heads},
      {"n_embd", config.channels},
      {"n_inner", nullptr},
      {"n_positions", config.max_seq_len},
      {"n_ctx", config.max_seq_len},
      {"vocab_size", config.vocab_size},
      {"activation_function", "gelu_new"},
      {"layer_norm_epsilon", 1e-5},  // kLayerNormEps, which is a float; as a double it would have more digits
      {"scale_attn_weights", true},
      {"tie_word_embeddings", true},
      // inkling trains without dropout. transformers' defaults are 0.1.
      {"attn_pdrop", 0.0},
      {"embd_pdrop", 0.0},
      {"resid_pdrop", 0.0},
      {"bos_token_id", end_of_text},
      {"eos_token_id", end_of_text},
      {"torch_dtype", dtype}};
  return file.dump(2) + "\n";
}

}  // namespace inkling
