// Survey: what the first reading of the inputs finds. It decides how they are tokenized.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/tokenize/inputs.h"
#include "apps/tokenize/tokenize.h"
#include "apps/tokenizer/bpe_training.h"

namespace inkling {

struct Survey {
  PieceCounts pieces;  // counted only if a tokenizer is trained on them
  std::string sample;  // the beginning of the text of the documents
  std::int64_t documents = 0, conversations = 0;
  std::int64_t text_bytes = 0;    // of documents and conversations
  std::int64_t chosen_bytes = 0;  // of the documents that chosen_for_validation() chooses
  std::int64_t inline_separators = 0;
  std::string not_utf8;  // the file and the position of the first bytes that are not UTF-8, if there are any
  std::vector<std::int64_t> starts;  // for each of the first documents: the number of bytes of text before it
};

Survey survey(const TokenizeSettings& settings, Inputs& inputs);

// The number of bytes in the turns of a conversation, without the template's words.
std::int64_t text_bytes(const Conversation& conversation);

}  // namespace inkling
