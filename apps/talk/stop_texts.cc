#include "apps/talk/stop_texts.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace inkling {

StopTexts::StopTexts(std::vector<std::string> stops) : stops_(std::move(stops)) {
  for (const std::string& stop : stops_) {
    if (stop.empty()) fail("stop is empty, expected a text");
  }
}

std::string StopTexts::push(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    if (stopped_) break;
    held_ += byte;
    std::size_t complete = 0;  // the length of the longest stop text that ends here
    for (const std::string& stop : stops_) {
      if (held_.ends_with(stop)) complete = std::max(complete, stop.size());
    }
    if (complete > 0) {
      stopped_ = true;
      text += held_.substr(0, held_.size() - complete);
      held_.clear();
      break;
    }
    // Only the longest suffix of held_ that is a prefix of a stop text is still held back.
    const auto may_be_stop = [&](std::string_view end) {
      return std::any_of(stops_.begin(), stops_.end(),
                         [&](const std::string& stop) { return stop.starts_with(end); });
    };
    std::size_t certain = 0;
    while (certain < held_.size() && !may_be_stop(std::string_view(held_).substr(certain))) ++certain;
    text += held_.substr(0, certain);
    held_.erase(0, certain);
  }
  return text;
}

std::string StopTexts::finish() {
  return std::exchange(held_, "");
}

}  // namespace inkling
