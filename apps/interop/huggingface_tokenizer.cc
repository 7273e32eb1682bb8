#include "apps/interop/huggingface_tokenizer.h"

#include <nlohmann/json.hpp>

#include "apps/tokenizer/merges_files.h"

namespace inkling {

std::vector<std::pair<std::string, std::string>> huggingface_tokenizer(const Tokenizer& tokenizer,
                                                                       std::int64_t max_seq_len) {
  const std::string end = written_tokens(tokenizer)[static_cast<std::size_t>(tokenizer.end_of_text())];
  const nlohmann::ordered_json special = {{"bos_token", end}, {"eos_token", end}, {"unk_token", end}};
  nlohmann::ordered_json config = {
      {"tokenizer_class", "GPT2Tokenizer"}, {"model_max_length", max_seq_len}, {"add_prefix_space", false}};
  config.update(special);
  return {{kHuggingfaceTokenizerFiles[0], vocab_json_text(tokenizer)},
          {kHuggingfaceTokenizerFiles[1], merges_text(tokenizer)},
          {kHuggingfaceTokenizerFiles[2], config.dump(2) + "\n"},
          {kHuggingfaceTokenizerFiles[3], special.dump(2) + "\n"}};
}

}  // namespace inkling
