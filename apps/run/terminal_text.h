// TerminalText: makes text safe to print on a terminal, piece by piece, while a model writes it.
//
// A model may write any bytes. On a terminal, control characters can move the cursor, change the title or
// ring the bell. So on a terminal each of their bytes is shown as an escape, for example \x1b, and so are
// bytes that are not UTF-8. Line breaks and tabs stay. If the terminal cannot show UTF-8, every byte outside
// ASCII is an escape. In a file or a pipe all bytes stay as they are.
//
// A token may end in the middle of a character. The first bytes of an incomplete character are held back
// until the next piece completes it, so that every piece that is printed has whole characters.
#pragma once

#include <string>
#include <string_view>

#include "apps/run/terminal.h"

namespace inkling {

class TerminalText {
 public:
  explicit TerminalText(const Terminal& terminal) : terminal_(terminal) {}

  // Returns the text to print now, after `bytes` were written.
  std::string push(std::string_view bytes);
  // Returns the rest, at the end of the text: the bytes of a character that was never completed.
  std::string finish();

 private:
  std::string shown(std::string_view bytes) const;

  Terminal terminal_;
  std::string held_;  // the first bytes of a character
};

// Returns a whole text as it is printed on `terminal`.
std::string terminal_text(const Terminal& terminal, std::string_view text);

}  // namespace inkling
