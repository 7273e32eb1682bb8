#include "apps/talk/history.h"

#include <algorithm>
#include <numeric>

#include "apps/chat/conversations.h"
#include "core/binary_file.h"
#include "core/error.h"

namespace inkling {

bool History::has_system() const {
  return !conversation_.turns.empty() && conversation_.turns.front().role == Role::system;
}

// The tokens that a turn adds to a prompt.
std::int64_t History::count_tokens(const Turn& turn) {
  return std::ssize(template_.prompt({{turn}})) - std::ssize(template_.prompt({}));
}

void History::set_system(const std::string& text) {
  const Turn turn{Role::system, text};
  const std::int64_t tokens = count_tokens(turn);
  if (has_system()) {
    conversation_.turns.erase(conversation_.turns.begin());
    tokens_.erase(tokens_.begin());
  }
  if (text.empty()) return;
  conversation_.turns.insert(conversation_.turns.begin(), turn);
  tokens_.insert(tokens_.begin(), tokens);
}

void History::add(Role role, const std::string& text) {
  const Turn turn{role, text};
  tokens_.push_back(count_tokens(turn));
  conversation_.turns.push_back(turn);
}

void History::remove_last() {
  conversation_.turns.pop_back();
  tokens_.pop_back();
}

void History::clear() {
  const std::size_t kept = has_system() ? 1 : 0;
  conversation_.turns.resize(kept);
  tokens_.resize(kept);
}

std::int64_t History::answers() const {
  return std::count_if(conversation_.turns.begin(), conversation_.turns.end(),
                       [](const Turn& turn) { return turn.role == Role::assistant; });
}

History::Prompt History::prompt(std::int64_t most) {
  const std::vector<Turn>& turns = conversation_.turns;
  const std::size_t oldest = has_system() ? 1 : 0;
  std::size_t kept = oldest;  // turns [oldest, kept) are left out
  std::int64_t length = std::accumulate(tokens_.begin(), tokens_.end(), std::ssize(template_.prompt({})));
  while (length > most && kept + 1 < turns.size()) {
    do {
      length -= tokens_[kept++];
    } while (kept + 1 < turns.size() && turns[kept].role != Role::user);
  }
  Conversation shown;
  shown.turns.assign(turns.begin(), turns.begin() + static_cast<std::ptrdiff_t>(oldest));
  shown.turns.insert(shown.turns.end(), turns.begin() + static_cast<std::ptrdiff_t>(kept), turns.end());
  return {template_.prompt(shown), static_cast<std::int64_t>(kept - oldest)};
}

void History::save(const std::string& path) const {
  if (answers() == 0) fail("there is no answer yet, so there is nothing to save");
  AtomicFile file(path);
  file.write(to_jsonl(conversation_));
  file.commit();
}

void History::load(const std::string& path) {
  History loaded(*tokenizer_);
  const auto use = [&](JsonlEntry&& entry, std::int64_t /*line*/) {
    const auto* conversation = std::get_if<Conversation>(&entry);
    if (conversation == nullptr) fail(path, ": is a document, expected a conversation");
    if (!loaded.conversation_.turns.empty()) fail(path, ": has several conversations, expected one");
    if (conversation->turns.back().role != Role::assistant)
      fail(path, ": the last turn is not the assistant's, expected an answer");
    for (const Turn& turn : conversation->turns) loaded.add(turn.role, turn.text);
  };
  read_jsonl(path, JsonlReader::BadLines::fail, use, [](const std::string&) {});
  *this = std::move(loaded);
}

}  // namespace inkling
