// config.json of Hugging Face's transformers: the dimensions of a GPT-2.
//
// The file also has settings that would change what the model computes. inkling has GPT-2's values of these
// settings and refuses a file with other values. Settings that only matter for training, such as dropout, are
// ignored.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "apps/interop/stored_model.h"

namespace inkling {

// Reads and checks the file. `has_head`: the model has a tensor lm_head.weight. Without it, the settings must
// not say that the head is separate from the token embedding.
GPT2Config read_huggingface_config(const std::string& path, bool has_head);
GPT2Config parse_huggingface_config(const nlohmann::json& json, const std::string& path, bool has_head);

// Returns the text of a config.json. `type` is the type of the weights.
std::string huggingface_config_text(const GPT2Config& config, FloatType type, std::int32_t end_of_text);

}  // namespace inkling
