// The label shift: turns a sequence of tokens into the prediction tasks that a language model learns from.
//
// A language model learns one thing: given the tokens so far, which token comes next? So a row of T inputs
// needs T targets. The text itself contains them, one position later. From T+1 tokens in sequence, the label
// shift makes T inputs and T targets:
//     tokens   Once  upon  a     time  there
//     inputs   Once  upon  a     time            tokens[0 .. T-1]
//     targets        upon  a     time  there     tokens[1 .. T]
// Position t sees inputs[0 .. t], because attention is causal, and must predict targets[t] = tokens[t+1].
// This is teacher forcing: the inputs are always the true tokens, not the model's own predictions. One row
// has T prediction tasks at once.
//
// The shift is only in this file. All other code compares position t with targets[t] and never shifts again.
// A target of -1 is masked: it does not contribute to the loss. A target becomes -1 here if the loss mask of
// its shard (token_flags.h) says that it does not count. The mask belongs to the target: the first token of
// an answer counts, although the token that predicts it is the end of the question. Read next: batches.h.
#pragma once

#include <cstdint>

#include "apps/text/data_shard.h"

namespace inkling {

// Returns the index of the token that the model must predict at the token with index `input`.
constexpr std::int64_t target_of(std::int64_t input) {
  return input + 1;
}

// Copies one row from a shard: `count` inputs from token `first` on, and their targets.
inline void copy_row(const DataShard& shard, std::int64_t first, std::int64_t count, std::int32_t* inputs,
                     std::int32_t* targets) {
  shard.tokens().copy(first, count, inputs);
  shard.tokens().copy(target_of(first), count, targets);
  if (!shard.has_loss_mask()) return;
  for (std::int64_t t = 0; t < count; ++t) {
    if (!shard.counts(target_of(first + t))) targets[t] = -1;
  }
}

}  // namespace inkling
