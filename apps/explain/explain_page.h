// The page of `inkling explain --html`: one model and one text.
//
//   losses of each token as colours, the likeliest tokens of each position, attention by layer and head, the
//   gradient of each token's embedding, and the losses without each head
//
// The page has the numbers of all heads, so its size grows with heads times the square of the text's length.
// It is at most kMostPageBytes large: longer texts are refused.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/explain/inside.h"
#include "apps/page/page.h"
#include "apps/talk/explanation.h"
#include "nn/gpt2_config.h"

namespace inkling {

constexpr std::int64_t kMostPageBytes = 2 << 20;

// The most tokens of a text whose page is small enough, if its tokens are not unusually long.
std::int64_t most_explained_tokens(const GPT2Config& config, std::int64_t top);

struct ExplainedText {
  std::string model;  // the path of the model
  std::span<const ExplainedPosition> positions;
  std::vector<std::string> tokens = {};  // of the vocabulary, as they are shown: UTF-8, no control characters
  Inside inside = {};
};

page::Page explain_page(const ExplainedText& text);

}  // namespace inkling
