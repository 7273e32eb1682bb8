#include "apps/chat/chat_template.h"

#include <limits>

namespace inkling {

namespace {

constexpr Role kRoles[] = {Role::system, Role::user, Role::assistant};

std::size_t index(Role role) {
  return static_cast<std::size_t>(role);
}

}  // namespace

std::string_view turn_prefix(Role role) {
  constexpr std::string_view kPrefixes[] = {"\nSystem: ", "\nUser: ", "\nAssistant: "};
  return kPrefixes[index(role)];
}

ChatTemplate::ChatTemplate(const Tokenizer& tokenizer)
    : encoder_(tokenizer), end_of_text_(tokenizer.end_of_text()) {
  for (const Role role : kRoles) encoder_.encode(turn_prefix(role), prefixes_[index(role)]);
}

void ChatTemplate::append(const Turn& turn, ChatTokens& out) {
  const std::vector<std::int32_t>& prefix = prefixes_[index(turn.role)];
  out.ids.insert(out.ids.end(), prefix.begin(), prefix.end());
  out.counted.resize(out.ids.size(), 0);
  encoder_.encode(turn.text, out.ids);
  if (turn.role == Role::assistant) out.ids.push_back(end_of_text_);
  out.counted.resize(out.ids.size(), turn.role == Role::assistant);
}

ChatTokens ChatTemplate::encode(const Conversation& conversation) {
  return *fit(conversation, std::numeric_limits<std::int64_t>::max()).tokens;
}

ChatTemplate::Fitted ChatTemplate::fit(const Conversation& conversation, std::int64_t most_tokens) {
  const std::vector<Turn>& turns = conversation.turns;
  std::size_t end = turns.size();
  while (end > 0 && turns[end - 1].role != Role::assistant) --end;
  ChatTokens tokens{{end_of_text_}, {0}};
  std::vector<std::ptrdiff_t> begins;  // the first token of each turn
  for (std::size_t i = 0; i < end; ++i) {
    begins.push_back(std::ssize(tokens.ids));
    append(turns[i], tokens);
  }
  // Turns [oldest, kept) are left out.
  const std::size_t oldest = end > 0 && turns.front().role == Role::system ? 1 : 0;
  std::size_t kept = oldest;
  const auto dropped_tokens = [&] { return kept == oldest ? 0 : begins[kept] - begins[oldest]; };
  while (std::ssize(tokens.ids) - dropped_tokens() > most_tokens) {
    do {
      if (++kept >= end) return {std::nullopt, 0};
    } while (turns[kept].role != Role::user);
  }
  if (kept > oldest) {
    tokens.ids.erase(tokens.ids.begin() + begins[oldest], tokens.ids.begin() + begins[kept]);
    tokens.counted.erase(tokens.counted.begin() + begins[oldest], tokens.counted.begin() + begins[kept]);
  }
  return {std::move(tokens), static_cast<std::int64_t>(kept - oldest)};
}

std::vector<std::int32_t> ChatTemplate::prompt(const Conversation& conversation) {
  ChatTokens tokens{{end_of_text_}, {0}};
  for (const Turn& turn : conversation.turns) append(turn, tokens);
  const std::vector<std::int32_t>& prefix = prefixes_[index(Role::assistant)];
  tokens.ids.insert(tokens.ids.end(), prefix.begin(), prefix.end());
  return tokens.ids;
}

}  // namespace inkling
