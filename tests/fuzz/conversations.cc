#include "apps/chat/conversations.h"

#include <variant>

#include "apps/chat/chat_template.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

namespace {

// Encodes a conversation in at most `most_tokens` tokens, and checks the result.
void fit(const Conversation& conversation, std::int64_t most_tokens) {
  static const Tokenizer tokenizer = Tokenizer::bytes();
  static ChatTemplate chat(tokenizer);
  const ChatTemplate::Fitted fitted = chat.fit(conversation, most_tokens);
  if (!fitted.tokens) return;
  const auto& [ids, counted] = *fitted.tokens;
  require(std::ssize(ids) <= most_tokens && ids.size() == counted.size(), "chat template: it fits");
  require(
      ids.front() == tokenizer.end_of_text() && ids.back() == tokenizer.end_of_text() && counted.back() == 1,
      "chat template: end-of-text is at both ends");
}

}  // namespace

void conversations(Bytes bytes) {
  std::int64_t entries = 0, reports = 0;
  const auto use = [&](JsonlEntry&& entry, std::int64_t /*line*/) {
    ++entries;
    if (const auto* conversation = std::get_if<Conversation>(&entry)) {
      for (const std::int64_t most_tokens : {1, 20, 60, 1 << 30}) fit(*conversation, most_tokens);
    }
  };
  JsonlReader reader("chats.jsonl", JsonlReader::BadLines::skip, use, [&](const std::string&) { ++reports; });
  accepted([&] {
    reader.feed(as_text(bytes));
    reader.end();
  });
  require(entries == reader.conversations() + reader.documents() && reports == reader.bad_lines(),
          "conversations: the counts are the calls");
}

}  // namespace inkling::fuzz
