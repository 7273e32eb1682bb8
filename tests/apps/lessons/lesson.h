// The numbers of a lesson, as `inkling lesson N --json` prints them.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/lessons/lessons.h"
#include "apps/page/page_json.h"
#include "tests/apps/command_line.h"

namespace inkling::test {

// Runs a lesson once for each command line.
inline const nlohmann::json& lesson_json(const std::string& number, const Words& flags = {}) {
  static std::map<Words, nlohmann::json> known;
  const Words words = Words{"lesson", number, "--json"} + flags;
  const auto found = known.find(words);
  if (found != known.end()) return found->second;
  return known[words] = nlohmann::json::parse(run_here(words).out);
}

// The flags with which tests run a lesson: its quick form, if it has one.
inline Words test_flags(const Lesson& lesson) {
  return lesson.has_quick_form ? Words{"--quick"} : Words{};
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
