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
  // Of JSON lines:
  std::int64_t seq_len = 256;  // T: conversations are shortened for rows of T tokens, as tokenize does
  bool strict = false;         // whether a bad line is an error; otherwise it is skipped and reported
};

// Positions [first, first + count) of a shard, with its loss mask and document starts.
void print_shard_targets(const std::string& path, const ShownTargets& shown);

// The same for conversations and documents in JSON lines, one after another, with exactly the tokens that
// tokenize would write: apps/chat/row_entries.h says what happens to those that do not fit into a row. If the
// file has only documents, tokenize does not pack them into rows, so they are whole. Then a line for the
// whole file: how many conversations and documents, how many targets count, and what did not fit.
void print_jsonl_targets(const std::string& path, const ShownTargets& shown);

}  // namespace inkling
