// All lessons: their sources, inputs and seeds, what a wrong command line says, and the check of a page.
#include "tests/apps/command_line.h"
#include "tests/apps/lessons/lesson.h"
#include "tests/apps/page/source_lines.h"
#include "tests/apps/process.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE(
    "lessons: the source line of every number still computes it, and the engine still has the function") {
  for (const Lesson& lesson : lessons()) {
    const nlohmann::json& json = lesson_json(std::to_string(lesson.number));
    CHECK(json["numbers"].size() == json["details"].size());
    check_source_lines(json["details"]);
  }
}

TEST_CASE(
    "lessons: every computed number says how, and the inputs of every number are numbers of the lesson") {
  for (const Lesson& lesson : lessons()) {
    const nlohmann::json& json = lesson_json(std::to_string(lesson.number));
    for (const auto& [name, detail] : json["details"].items()) {
      INFO(lesson.number << " " << name);
      CHECK(detail.at("formula") != "");
      for (const std::string input : detail.at("inputs")) CHECK(json["numbers"].contains(input));
    }
  }
}

TEST_CASE("lessons: the list has every lesson, and a lesson that does not exist is one clear line") {
  const std::string list = run_here({"lesson"}).out;
  for (const Lesson& lesson : lessons()) CHECK_THAT(list, contains(lesson.title + ": " + lesson.summary));
  for (const std::string number : {"0", "99", "02", "two"}) {
    INFO(number);

    CHECK_THROWS_WITH(run_here({"lesson", number}), contains("there is no lesson " + number));
  }
  CHECK_THROWS_WITH(run_here({"lesson", "2", "--break", "everything"}),
                    contains("--break is everything, expected one of no-logarithm, no-max-subtraction"));
  CHECK_THROWS_WITH(run_here({"lesson", "--json"}), contains("need the number of a lesson"));
  CHECK_THROWS_WITH(run_here({"lesson", "2", "--quick"}), contains("lesson 2 has no quick form"));
  CHECK_THROWS_WITH(run_here({"lesson", "--quick"}), contains("--quick needs the number of a lesson"));
}

TEST_CASE("lessons: --check says that a page's numbers are the same, and names a number that is not") {
  const TemporaryDirectory t;
  run_here({"lesson", "2", "--html", t.path()});
  const std::string page = t / "lesson-2.html";
  CHECK_THAT(run_here({"lesson", "2", "--check", page}).out, contains("numbers are the same"));
  std::string text = read_text(page);
  const std::size_t at = text.find("\"softmax.p.we\":0.1");
  REQUIRE(at != std::string::npos);
  text.replace(at, 18, "\"softmax.p.we\":0.2");
  write_text(page, text);
  const Outcome outcome = run({"lesson", "2", "--check", page});
  CHECK(outcome.status == 1);
  CHECK_THAT(outcome.out, contains("softmax.p.we is 0.2494 in the file, computed now: 0.1494"));
  CHECK_THAT(outcome.err, contains("1 numbers differ"));
}

TEST_CASE("lessons: --check takes JSON, with its seed, and refuses files that are not a lesson's numbers") {
  const TemporaryDirectory t;
  const std::string json = t / "l.json";
  write_text(json, run_here({"lesson", "2", "--json", "--seed", "7"}).out);
  CHECK_THAT(run_here({"lesson", "2", "--check", json}).out, contains("numbers are the same"));
  for (const std::string text : {"", "{}", "[]", "hello", R"({"numbers": {}, "origin": {}})",
                                 R"({"numbers": {}, "origin": {"lesson": 2}})",
                                 R"({"numbers": {}, "origin": {"lesson": 3, "seed": 1, "break": ""}})",
                                 R"({"numbers": 1, "origin": {"lesson": 2, "seed": 1, "break": ""}})",
                                 R"({"numbers": {}, "origin": {"lesson": 2, "seed": -1, "break": ""}})",
                                 "<script type=\"application/json\" id=\"page-data\">{\"numbers\""}) {
    INFO(text);
    write_text(t / "bad", text);
    expect({"lesson", "2", "--check", t / "bad"}, 1, {"bad"});
  }
  expect({"lesson", "2", "--check", t / "missing"}, 1, {"missing"});
}

nlohmann::json lesson_command(const Words& words) {
  return nlohmann::json::parse(run_here(Words{"lesson", "--json"} + words).out);
}

TEST_CASE("lessons: another seed gives other random numbers, and each flag of the command has its effect") {
  const nlohmann::json& a = lesson_json("2");
  const nlohmann::json b = lesson_command({"2", "--seed", "7"});
  CHECK(value(a, "ruler.model") != value(b, "ruler.model"));
  CHECK(value(a, "softmax.p.we") == value(b, "softmax.p.we"));
  CHECK(a == lesson_command({"2", "--threads", "1"}));
  CHECK_THAT(run_here({"lesson", "2"}).out, contains("Softmax, one step at a time"));
  CHECK(lesson_command({"9", "--quick", "--break", "same-rate"}) == lesson_json("9", "same-rate"));
}

TEST_CASE("lessons: in the terminal, no line is wider than 100 columns, and a file has no escape codes") {
  for (const Lesson& lesson : lessons()) {
    const std::string& text = lesson_run(std::to_string(lesson.number)).text;
    CHECK(text.find('\33') == std::string::npos);
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const auto columns = std::count_if(
          line.begin(), line.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; });
      INFO(lesson.number << ": " << line);
      CHECK(columns <= 100);
    }
  }
}

}  // namespace
}  // namespace inkling
