#include "apps/interop/huggingface_tokenizer.h"

#include <nlohmann/json.hpp>

namespace inkling {

namespace {

// The object is written token by token, because ordered_json looks for every new key among all keys so far.
std::string vocab_json(const std::vector<std::string>& tokens) {
  std::string text = "{";
  for (std::size_t id = 0; id < tokens.size(); ++id)
    text += (id > 0 ? "," : "") + nlohmann::json(tokens[id]).dump() + ":" + std::to_string(id);
  return text + "}\n";
}

}  // namespace

std::vector<std::pair<std::string, std::string>> huggingface_tokenizer(const Vocabulary& vocabulary,
                                                                       std::int64_t max_seq_len) {
  const std::vector<std::string> tokens = written_tokens(vocabulary);
  std::string merges = "#version: 0.2\n";
  for (const std::string& merge : written_merges(vocabulary)) merges += merge + "\n";
  const std::string& end = tokens[static_cast<std::size_t>(vocabulary.end_of_text)];
  const nlohmann::ordered_json special = {{"bos_token", end}, {"eos_token", end}, {"unk_token", end}};
  nlohmann::ordered_json config = {
      {"tokenizer_class", "GPT2Tokenizer"}, {"model_max_length", max_seq_len}, {"add_prefix_space", false}};
  config.update(special);
  return {{kHuggingfaceTokenizerFiles[0], vocab_json(tokens)},
          {kHuggingfaceTokenizerFiles[1], merges},
          {kHuggingfaceTokenizerFiles[2], config.dump(2) + "\n"},
          {kHuggingfaceTokenizerFiles[3], special.dump(2) + "\n"}};
}

}  // namespace inkling
