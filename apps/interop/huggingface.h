// A directory with a GPT-2, as Hugging Face's transformers library reads and writes it:
//
//   config.json                    the dimensions
//   model.safetensors              the weights, or instead of it:
//   model.safetensors.index.json   a table that gives each tensor's file, and the files model-00001-of-...
//   vocab.json, merges.txt         the tokenizer
//   tokenizer_config.json, special_tokens_map.json
#pragma once

#include <string>
#include <vector>

#include "apps/interop/stored_model.h"
#include "apps/tokenizer/tokenizer.h"

namespace inkling {

// Whether the directory has the weights of a model: model.safetensors or its table.
bool is_huggingface_directory(const std::string& path);

StoredModel read_huggingface_model(const std::string& directory);

// The paths that write_huggingface_model() writes.
std::vector<std::string> huggingface_files(const std::string& directory, bool with_tokenizer);

// Writes the model, and its tokenizer unless it is nullptr. The directory is created if needed. The files get
// their names when all of them are complete.
void write_huggingface_model(const std::string& directory, const StoredModel& model,
                             const Tokenizer* tokenizer);

}  // namespace inkling
