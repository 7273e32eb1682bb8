// StopTexts: ends a text before a stop text, while a model writes it in pieces.
//
// A stop text may begin inside one token and end inside another. So bytes that may be the beginning of a stop
// text are held back until the next pieces decide. The result depends only on the bytes, not on how they are
// cut into pieces: the text ends before the first stop text that is complete. If several stop texts are
// complete at the same byte, it ends before the longest one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace inkling {

class StopTexts {
 public:
  // Error if a stop text is empty. Without stop texts, nothing is held back.
  explicit StopTexts(std::vector<std::string> stops);

  // Returns the bytes that are certainly part of the text, after `bytes` were written. After a stop text, it
  // returns nothing more.
  std::string push(std::string_view bytes);
  // Returns the rest, at the end of the text: the beginning of a stop text that was never completed.
  std::string finish();
  bool stopped() const { return stopped_; }  // true after a stop text

 private:
  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace inkling
