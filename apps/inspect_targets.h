// What a model learns from a shard or from conversations: each token with its target, the next token, and
// whether the target counts. This is the table of `inkling inspect --show`.
#pragma once

#include <cstdint>
#include <string>

namespace inkling {

struct ShownTargets {
  std::string tokenizer;    // a tokenizer file or directory; empty: the one beside the shard, if there is one
  std::int64_t first = 0;   // the first position
  std::int64_t count = 64;  // how many positions
};

// Positions [first, first + count) of a shard, with its loss mask and document starts.
void print_shard_targets(const std::string& path, const ShownTargets& shown);

// The same for conversations and documents in JSON lines, one after another as the chat template encodes them
// (documents: end-of-text and then the text).
void print_jsonl_targets(const std::string& path, const ShownTargets& shown);

}  // namespace inkling
