// The pages of all lessons, in a browser. `make test-pages` runs these tests; they need chromium and tidy.
#include "apps/lessons/lessons.h"
#include "tests/apps/process.h"
#include "tests/pages/browser.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr std::uintmax_t kMostBytes = 2 << 20;

TEST_CASE(
    "pages: every lesson is valid HTML in one small file, and works on a phone and a desktop, light and dark",
    "[.][pages]") {
  const TemporaryDirectory t;
  REQUIRE(run({"lesson", "--quick", "--html", t.path()}).status == 0);
  std::vector<std::string> files = {"index.html"};
  for (const Lesson& lesson : lessons()) files.push_back(lesson_file(lesson.number));
  for (const std::string& file : files) {
    INFO(file);
    check_html(t / file);
    CHECK(std::filesystem::file_size(t / file) <= kMostBytes);
    const nlohmann::json found = check_in_browser(t / file);
    if (file != "index.html") CHECK(found.at("numbers") > 20);
  }
}

TEST_CASE("pages: every lesson with something broken works in a browser, too", "[.][pages]") {
  const TemporaryDirectory t;
  for (const Lesson& lesson : lessons()) {
    for (const Break& b : lesson.breaks) {
      INFO(lesson.number << " " << b.name);
      std::vector<std::string> words = {"lesson", std::to_string(lesson.number), "--break", b.name, "--html",
                                        t.path()};
      if (lesson.has_quick_form) words.push_back("--quick");
      REQUIRE(run(words).status == 0);
      check_html(t / lesson_file(lesson.number));
      check_in_browser(t / lesson_file(lesson.number));
    }
  }
}

}  // namespace
}  // namespace inkling
