// open_model: a model file with its tokenizer, opened for generate, chat, explain and eval.
#pragma once

#include <optional>
#include <string>

#include "apps/tokenizer/tokenizer.h"
#include "nn/gpt2.h"

namespace inkling {

struct OpenModel {
  std::string path;
  GPT2 model;
  std::optional<Tokenizer> tokenizer;

  // Returns the tokenizer. UsageError if there is none; `user` is what needs it, for example "chat".
  const Tokenizer& tokenizer_for(const std::string& user) const;
};

// The values of --model, --tokenizer and --precision. Without --tokenizer, the tokenizer in the model's
// directory is taken, if there is one. UsageError if no precision has this name. Error unless all weights are
// finite and the tokenizer has as many tokens as the model's vocabulary.
OpenModel open_model(const std::string& model, const std::string& tokenizer, const std::string& precision);

}  // namespace inkling
