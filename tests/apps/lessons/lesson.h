// Lessons as JSON and as text, computed once for all tests.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/lessons/lessons.h"
#include "apps/page/page_json.h"
#include "apps/page/page_terminal.h"
#include "tests/support.h"

namespace inkling::test {

// What `inkling lesson N` prints: with --json, and without it into a file.
struct LessonRun {
  nlohmann::json json;
  std::string text;
};

// Computes a lesson once, and once more for each of its breaks. A lesson that has a quick form is computed in
// it.
inline const LessonRun& lesson_run(const std::string& number, const std::string& broken = "") {
  static std::map<std::vector<std::string>, LessonRun> known;
  const auto found = known.find({number, broken});
  if (found != known.end()) return found->second;
  LessonSettings settings;
  settings.broken = broken;
  settings.quick = lesson(number).has_quick_form;
  const page::Page page = lesson_page(lesson(number), settings);
  return known[{number, broken}] = {nlohmann::json::parse(page_json(page).dump()),
                                    page_text(page, {.utf8 = true})};
}

inline const nlohmann::json& lesson_json(const std::string& number, const std::string& broken = "") {
  return lesson_run(number, broken).json;
}

// Checks numbers as they are printed: {{"softmax.p.we", "0.1494"}, ...}.
inline void check_printed(const nlohmann::json& lesson, const std::map<std::string, std::string>& expected) {
  for (const auto& [name, text] : expected) {
    INFO(name);
    REQUIRE(lesson.at("details").contains(name));
    CHECK(lesson["details"][name].at("printed") == text);
  }
}

inline double value(const nlohmann::json& lesson, const std::string& name) {
  INFO(name);
  REQUIRE(lesson.at("numbers").contains(name));
  return lesson["numbers"][name].get<double>();
}

}  // namespace inkling::test
