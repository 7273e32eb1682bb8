// RowEntries: turns conversations and documents into entries of packed rows (packing.h), and counts what does
// not fit.
//
// An entry begins and ends with end-of-text, and has at most T+1 tokens, because a row has T inputs and T
// targets.
//
// A conversation is one entry. If it is longer, whole turns are left out, the oldest first; if not even one
// exchange fits, the conversation is left out (ChatTemplate::fit()).
//
// A document is <e> text <e>, where <e> is end-of-text. All its tokens count as targets, also the <e> that
// ends it. A longer document is cut into several entries, because training on texts cuts them at the ends of
// rows, too. The <e> before and after a cut are not in the text, so they do not count; nor does the first
// token after a cut, which nothing in its row can predict.
//
// `inkling tokenize` and `inkling inspect` both use this file, so inspect shows exactly the rows' tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/chat/chat_template.h"

namespace inkling {

struct EntryCounts {
  std::int64_t conversations = 0, documents = 0;  // read so far
  std::int64_t shortened = 0, dropped_turns = 0;  // conversations that lost whole turns, the oldest ones
  std::int64_t dropped = 0;                       // conversations of which not even one exchange fits
  std::int64_t cut = 0;                           // documents in several entries

  // What did not fit, as sentences for the user. Empty if everything fits.
  std::vector<std::string> messages(std::int64_t T) const;
};

// Only one thread at a time may use a RowEntries. The tokenizer must outlive it.
class RowEntries {
 public:
  RowEntries(const Tokenizer& tokenizer, std::int64_t T);

  // Returns the tokens of a conversation in at most T+1 tokens, or none. Error if it cannot be encoded.
  ChatTemplate::Fitted conversation(const Conversation& conversation);

  // A part of a document: `begins` and `ends` say whether it is the first and the last one. Calls `use` with
  // each entry.
  void document(std::string_view text, bool begins, bool ends, const std::function<void(ChatTokens&&)>& use);

  const EntryCounts& counts() const { return counts_; }

 private:
  ChatTemplate template_;
  TextEncoder encoder_;
  std::int32_t end_of_text_;
  std::int64_t T_;
  bool cut_ = false;  // whether the current document is counted as cut
  EntryCounts counts_;
};

}  // namespace inkling
