#include "apps/talk/conversation.h"

#include "core/error.h"

namespace inkling {

const char* name(Role role) {
  return role == Role::system ? "system" : role == Role::user ? "user" : "assistant";
}

const char* text_before(Role role) {
  return role == Role::system ? "\nSystem: " : role == Role::user ? "\nUser: " : "\nAssistant: ";
}

Conversation::Encoded Conversation::encode_turn(Role role, const std::string& text) const {
  Encoded turn{text, {}};
  TextEncoder encoder(*tokenizer_);
  encoder.encode(text_before(role), turn.ids);
  encoder.encode(text, turn.ids);
  if (role == Role::assistant) turn.ids.push_back(tokenizer_->end_of_text());
  return turn;
}

void Conversation::set_system(const std::string& text) {
  system_ = text.empty() ? Encoded{} : encode_turn(Role::system, text);
}

void Conversation::add(Role role, const std::string& text) {
  const Role next = encoded_.size() % 2 == 0 ? Role::user : Role::assistant;
  if (role != next) fail("the turn is of the ", name(role), ", expected one of the ", name(next));
  if (role == Role::user && text.empty()) fail("the message is empty, expected a text");
  encoded_.push_back(encode_turn(role, text));
}

void Conversation::add_answer(const std::string& text, const std::vector<std::int32_t>& written) {
  try {
    add(Role::assistant, text);
  } catch (const Error&) {
    Encoded answer = encode_turn(Role::assistant, "");
    answer.text = text;
    answer.ids.insert(answer.ids.end() - 1, written.begin(), written.end());
    encoded_.push_back(std::move(answer));
  }
}

void Conversation::remove_last() {
  if (!encoded_.empty()) encoded_.pop_back();
}

void Conversation::clear() {
  encoded_.clear();
}

std::vector<Turn> Conversation::turns() const {
  std::vector<Turn> turns;
  if (!system_.text.empty()) turns.push_back({Role::system, system_.text});
  for (std::size_t i = 0; i < encoded_.size(); ++i)
    turns.push_back({i % 2 == 0 ? Role::user : Role::assistant, encoded_[i].text});
  return turns;
}

Conversation::Prompt Conversation::prompt(std::int64_t most) const {
  if (encoded_.size() % 2 == 0) fail("the conversation ends with an answer, expected a message of the user");
  std::vector<std::int32_t> begin = {tokenizer_->end_of_text()},
                            end = tokenizer_->encode(text_before(Role::assistant));
  begin.insert(begin.end(), system_.ids.begin(), system_.ids.end());
  std::int64_t length = std::ssize(begin) + std::ssize(end);
  for (const Encoded& turn : encoded_) length += std::ssize(turn.ids);
  std::size_t first = 0;
  for (; length > most && first + 1 < encoded_.size(); first += 2)
    length -= std::ssize(encoded_[first].ids) + std::ssize(encoded_[first + 1].ids);
  Prompt prompt{std::move(begin), static_cast<std::int64_t>(first / 2)};
  for (std::size_t i = first; i < encoded_.size(); ++i)
    prompt.ids.insert(prompt.ids.end(), encoded_[i].ids.begin(), encoded_[i].ids.end());
  prompt.ids.insert(prompt.ids.end(), end.begin(), end.end());
  return prompt;
}

}  // namespace inkling
