// The chat template: how a conversation becomes tokens, and which of them count as targets.
//
// A conversation is one document. It begins with the token end-of-text, like every document. Each turn is a
// prefix and then the turn's text. An end-of-text closes each turn of the assistant, so that the model learns
// to stop. <e> is end-of-text:
//
//   <e>\nSystem: Be brief.\nUser: What is the capital of France?
//   \nAssistant: The capital of France is Paris.<e>\nUser: ...
//
// The tokens of the assistant's text count, also the first one, and so does the end-of-text that closes it.
// Nothing else counts: the model learns to answer, not to ask. If the last turn is a user's turn without an
// answer, it is left out.
//
// Prefixes and texts are encoded separately. So no token has parts of both, and when a model chats, the
// tokens of its prompt are exactly the tokens that it saw in training before an answer. The template is plain
// text: it needs no special tokens, and works with every tokenizer that has the bytes. If a user's
// text contains "\nAssistant: ", it looks like a turn, but it never contains an end-of-text.
//
// Read next: packing.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "apps/chat/conversations.h"
#include "apps/tokenizer/tokenizer.h"

namespace inkling {

std::string_view turn_prefix(Role role);  // "\nSystem: ", "\nUser: " or "\nAssistant: "

// The tokens of a conversation, and for each token 1 if it counts as a target, 0 if not.
struct ChatTokens {
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> counted;
};

// Only one thread at a time may use a ChatTemplate. The tokenizer must outlive it.
class ChatTemplate {
 public:
  // Encodes the prefixes. Error if the tokenizer cannot encode them.
  explicit ChatTemplate(const Tokenizer& tokenizer);

  ChatTokens encode(const Conversation& conversation);

  // The result of fit(). If not even one exchange fits, there are no tokens.
  struct Fitted {
    std::optional<ChatTokens> tokens;
    std::int64_t dropped_turns = 0;
  };
  // Encodes a conversation in at most `most_tokens` tokens. If it is longer, whole turns are left out, the
  // oldest first, until it begins with a user's turn and fits. A system turn stays.
  Fitted fit(const Conversation& conversation, std::int64_t most_tokens);

  // The prompt for the assistant's next turn: the tokens of all turns, and then the prefix of an assistant's
  // turn. The last turn is normally a user's.
  std::vector<std::int32_t> prompt(const Conversation& conversation);

 private:
  void append(const Turn& turn, ChatTokens& out);

  TextEncoder encoder_;
  std::int32_t end_of_text_;
  std::vector<std::int32_t> prefixes_[3];  // the tokens of each role's prefix
};

}  // namespace inkling
