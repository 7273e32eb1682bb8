// Turns conversations into packed shards with a loss mask: only the assistant's tokens count as targets.
// Documents among the conversations fill rows, too; all their tokens count.
#pragma once

#include "apps/tokenize/inputs.h"
#include "apps/tokenize/survey.h"
#include "apps/tokenize/tokenize.h"

namespace inkling {

// Inputs with at least one conversation; `found` is their survey. Rows have settings.seq_len tokens.
// apps/chat/row_entries.h says what happens to longer conversations and documents. Error if nothing is left for
// training or for validation.
TokenizeResult tokenize_conversations(const TokenizeSettings& settings, Inputs& inputs, const Survey& found);

}  // namespace inkling
