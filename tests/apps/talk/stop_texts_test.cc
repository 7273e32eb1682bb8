// Stop texts: the text ends before a stop text, however the text is cut into pieces.
#include "apps/talk/stop_texts.h"

#include "core/rng.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

struct Cut {
  std::string text;
  bool stopped;
  bool operator==(const Cut&) const = default;
};

Cut cut(const std::vector<std::string>& stops, const std::vector<std::string>& pieces) {
  StopTexts until(stops);
  std::string text;
  for (const std::string& piece : pieces) text += until.push(piece);
  text += until.finish();
  return {text, until.stopped()};
}

TEST_CASE("stop texts: the text ends before the first stop text that is complete") {
  CHECK(cut({}, {"abc"}) == Cut{"abc", false});
  CHECK(cut({"x"}, {"abc"}) == Cut{"abc", false});
  CHECK(cut({"b"}, {"abc"}) == Cut{"a", true});
  CHECK(cut({"bc", "d"}, {"abcd"}) == Cut{"a", true});
  CHECK(cut({"aab"}, {"aaaab"}) == Cut{"aa", true});
  CHECK(cut({"abcd", "bc"}, {"abcd"}) == Cut{"a", true});  // bc is complete before abcd
  CHECK(cut({"c", "abc"}, {"xabc"}) == Cut{"x", true});    // both end at c: the longest
  CHECK(cut({"\nUser:"}, {"Hi.\nUse"}) == Cut{"Hi.\nUse", false});
  CHECK(cut({"ab"}, {"ab", "c"}) == Cut{"", true});
}

TEST_CASE("stop texts: bytes are held back only while they may be the beginning of a stop text") {
  StopTexts until({"abc"});
  CHECK(until.push("xa") == "x");
  CHECK(until.push("b") == "");
  CHECK(until.push("a") == "ab");
  CHECK(until.push("bx") == "abx");
  CHECK(until.push("abc") == "");
  CHECK(until.stopped());
  CHECK(until.push("more") == "");
  CHECK(until.finish() == "");
}

TEST_CASE("stop texts: the result does not depend on how the text is cut into pieces") {
  Rng rng(5);
  const auto random_text = [&](std::uint64_t most) {
    std::string text;
    for (std::uint64_t length = rng.below(most) + 1; length > 0; --length)
      text += static_cast<char>('a' + rng.below(2));
    return text;
  };
  int stopped = 0;
  for (int i = 0; i < 500; ++i) {
    const std::vector<std::string> stops = {random_text(6), random_text(6)};
    const std::string text = random_text(12);
    std::vector<std::string> pieces(1);
    for (const char c : text) {
      if (rng.below(2) == 0) pieces.emplace_back();
      pieces.back() += c;
    }
    // The definition, directly: the first end at which a stop text is complete, and then the longest.
    Cut want{text, false};
    for (std::size_t end = 1; end <= text.size() && !want.stopped; ++end) {
      for (const std::string& stop : stops) {
        const std::string before = text.substr(0, end);
        if (!before.ends_with(stop)) continue;
        const std::string kept = before.substr(0, end - stop.size());
        if (!want.stopped || kept.size() < want.text.size()) want = {kept, true};
      }
    }
    INFO(text << ", stops " << stops[0] << " and " << stops[1]);
    CHECK(cut(stops, pieces) == want);
    stopped += want.stopped;
  }
  CHECK((stopped > 100 && stopped < 490));
}

TEST_CASE("stop texts: an empty stop text is refused") {
  CHECK_THROWS_WITH(StopTexts({"a", ""}), contains("stop is empty"));
}

}  // namespace
}  // namespace inkling
