// Turns conversations into packed shards with a loss mask: only the assistant's tokens count as targets.
#pragma once

#include "apps/tokenize/inputs.h"
#include "apps/tokenize/tokenize.h"

namespace inkling {

// Inputs that are conversations. Rows have settings.seq_len tokens. A conversation that is longer loses whole
// turns, the oldest first; it is dropped if not even one exchange fits. Error if nothing is left for training
// or for validation.
TokenizeResult tokenize_conversations(const TokenizeSettings& settings, Inputs& inputs);

}  // namespace inkling
