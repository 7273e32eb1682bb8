// The lessons: pages about how a language model learns, whose numbers the engine computes.
//
// "The documents" are introductions to language models that the lessons follow (README.md has a table).
//
// To add a lesson: write a file with a function `Lesson name()` that fills a page, and add its name to the
// list in lessons.cc. README.md says how to write one.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "apps/page/page.h"

namespace inkling {

// What a lesson may break to show why it matters: --break=NAME.
struct Break {
  std::string name, summary;
};

struct LessonSettings {
  std::uint64_t seed = 42;
  std::string broken;  // the name of the Break to show; empty: nothing is broken
  bool quick = false;  // smaller models and fewer steps, for a lesson that has a quick form
  // Says what the lesson is doing, for example "training a small model: step 40 of 200".
  std::function<void(const std::string&)> progress = [](const std::string&) {};

  bool breaks(const std::string& name) const { return broken == name; }
};

struct Lesson {
  int number;
  std::string title, summary;
  std::vector<Break> breaks;
  std::function<void(page::Page&, const LessonSettings&)> write;
  bool has_quick_form = false;
};

// All lessons, by number.
const std::vector<Lesson>& lessons();

// Returns the lesson with this number, which is a text from the command line. UsageError if there is none.
const Lesson& lesson(const std::string& number);

// The page of a lesson, with its links, its command and its origin. UsageError if the lesson cannot break
// settings.broken, or has no quick form and settings.quick.
page::Page lesson_page(const Lesson& lesson, const LessonSettings& settings);

// A page with links to all lessons.
page::Page index_page();

std::string lesson_file(int number);  // the name of the HTML file: "lesson-2.html"

}  // namespace inkling
