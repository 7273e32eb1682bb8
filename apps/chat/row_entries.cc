#include "apps/chat/row_entries.h"

#include <algorithm>

#include "apps/run/format.h"
#include "core/error.h"

namespace inkling {

std::vector<std::string> EntryCounts::messages(std::int64_t T) const {
  std::vector<std::string> lines;
  const std::string most = format_number_of(T + 1, "token");
  if (shortened > 0)
    lines.push_back(str(format_number_of(shortened, "conversation"), " lost the oldest turns, ",
                        format_count(dropped_turns), " in all, to fit into ", most));
  if (dropped > 0)
    lines.push_back(str("left out ", format_number_of(dropped, "conversation"),
                        ", because even the shortest exchange has more than ", most));
  if (cut > 0) lines.push_back(str("cut ", format_number_of(cut, "document"), " into rows of ", most));
  return lines;
}

RowEntries::RowEntries(const Tokenizer& tokenizer, std::int64_t T)
    : template_(tokenizer), encoder_(tokenizer), end_of_text_(tokenizer.end_of_text()), T_(T) {
  if (T < 2) fail("row entries: T is ", T, ", expected at least 2");
}

ChatTemplate::Fitted RowEntries::conversation(const Conversation& conversation) {
  ChatTemplate::Fitted fitted = template_.fit(conversation, T_ + 1);
  ++counts_.conversations;
  counts_.dropped += !fitted.tokens;
  counts_.shortened += fitted.dropped_turns > 0;
  counts_.dropped_turns += fitted.dropped_turns;
  return fitted;
}

void RowEntries::document(std::string_view text, bool begins, bool ends,
                          const std::function<void(ChatTokens&&)>& use) {
  std::vector<std::int32_t> ids;
  encoder_.encode(text, ids);
  if (begins) {
    ++counts_.documents;
    cut_ = false;
  }
  const std::int64_t most = T_ - 1;  // T+1 without the end-of-text at both ends
  const bool cuts = !begins || !ends || std::ssize(ids) > most;
  counts_.cut += cuts && !cut_;
  cut_ = cut_ || cuts;
  for (std::int64_t at = 0; at < std::ssize(ids); at += most) {
    const std::int64_t end = std::min(at + most, std::ssize(ids));
    ChatTokens entry;
    entry.ids.push_back(end_of_text_);
    entry.ids.insert(entry.ids.end(), ids.begin() + at, ids.begin() + end);
    entry.ids.push_back(end_of_text_);
    entry.counted.assign(entry.ids.size(), 1);
    entry.counted.front() = 0;
    entry.counted[1] = begins && at == 0;
    entry.counted.back() = ends && end == std::ssize(ids);
    use(std::move(entry));
  }
}

}  // namespace inkling
