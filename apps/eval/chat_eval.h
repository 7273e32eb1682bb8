// Exact match on conversations: does the model write the answer that the file has?
//
// For each conversation, the prompt is everything before the last turn of the assistant, in the template of
// training. The model writes the answer greedily. It is right if its bytes are exactly those of the turn, and
// the model then writes end-of-text.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "apps/chat/conversations.h"
#include "apps/eval/choice_eval.h"
#include "apps/tokenizer/tokenizer.h"
#include "nn/gpt2.h"

namespace inkling {

struct ChatResult {
  std::int64_t conversations = 0, right = 0;
  std::int64_t cut_contexts = 0;  // conversations whose oldest turns were left out
  std::int64_t too_long = 0;      // conversations that do not fit even without them; they are not right

  double exact_match() const { return static_cast<double>(right) / static_cast<double>(conversations); }
};

// `done` is called after each conversation with the result so far. Error if a conversation and its answer are
// longer than the model's context and may not be cut, or if a text cannot be encoded. Errors say where:
// `name_of` returns the name of a conversation, given its index.
ChatResult evaluate_chats(GPT2& model, const Tokenizer& tokenizer,
                          std::span<const Conversation> conversations, LongContext long_context,
                          const std::function<std::string(std::size_t)>& name_of,
                          const std::function<void(const ChatResult&)>& done);

}  // namespace inkling
