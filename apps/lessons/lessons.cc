#include "apps/lessons/lessons.h"

#include <algorithm>

#include "apps/version.h"
#include "core/error.h"

// One line for each lesson: the function that its file defines.
// clang-format off
#define INKLING_LESSONS(LESSON) \
  LESSON(the_task) \
  LESSON(logits_to_loss) \
  LESSON(masks) \
  LESSON(backpropagation) \
  LESSON(gradient_descent) \
  LESSON(training_loop) \
  LESSON(sampling) \
  LESSON(one_step) \
  LESSON(scale)
// clang-format on

namespace inkling {

#define INKLING_DECLARE(function) Lesson function();
INKLING_LESSONS(INKLING_DECLARE)
#undef INKLING_DECLARE

const std::vector<Lesson>& lessons() {
#define INKLING_CALL(function) function(),
  static const std::vector<Lesson> all = [] {
    std::vector<Lesson> list = {INKLING_LESSONS(INKLING_CALL)};
    std::sort(list.begin(), list.end(), [](const Lesson& a, const Lesson& b) { return a.number < b.number; });
    return list;
  }();
#undef INKLING_CALL
  return all;
}

const Lesson& lesson(const std::string& number) {
  std::string numbers;
  for (const Lesson& lesson : lessons()) {
    if (std::to_string(lesson.number) == number) return lesson;
    numbers += str(numbers.empty() ? "" : ", ", lesson.number);
  }
  throw UsageError(str("there is no lesson ", number, ", expected one of ", numbers));
}

std::string lesson_file(int number) {
  return str("lesson-", number, ".html");
}

namespace {

void check_broken(const Lesson& lesson, const std::string& broken) {
  std::string names;
  for (const Break& b : lesson.breaks) {
    if (b.name == broken) return;
    names += (names.empty() ? "" : ", ") + b.name;
  }
  if (broken.empty()) return;
  throw UsageError(str("--break is ", broken, ", expected ",
                       names.empty() ? "no --break: this lesson breaks nothing" : "one of " + names));
}

// The command's flags that change the numbers.
std::string flags(const LessonSettings& settings) {
  return (settings.broken.empty() ? "" : " --break=" + settings.broken) + (settings.quick ? " --quick" : "") +
         (settings.seed == LessonSettings().seed ? "" : str(" --seed ", settings.seed));
}

}  // namespace

page::Page lesson_page(const Lesson& lesson, const LessonSettings& settings) {
  check_broken(lesson, settings.broken);
  if (settings.quick && !lesson.has_quick_form)
    throw UsageError(str("--quick: lesson ", lesson.number, " has no quick form"));
  page::Page page(str("Lesson ", lesson.number, ". ", lesson.title));
  page.command = str("inkling lesson ", lesson.number, flags(settings));
  page.check_command = str("inkling lesson ", lesson.number, " --check ", lesson_file(lesson.number));
  page.origin = {
      {"lesson", lesson.number}, {"seed", settings.seed}, {"break", settings.broken}, {"version", kVersion}};
  if (settings.quick) page.origin["quick"] = true;
  page.links.push_back({"All lessons", "index.html"});
  for (const Lesson& other : lessons()) {
    if (other.number == lesson.number - 1)
      page.links.push_back({"← " + other.title, lesson_file(other.number)});
    if (other.number == lesson.number + 1)
      page.links.push_back({other.title + " →", lesson_file(other.number)});
  }
  lesson.write(page, settings);
  page.check();
  return page;
}

page::Page index_page() {
  page::Page page("How a language model learns");
  page.lede(
      "Every number on these pages was computed by inkling, the engine that trains the models in them.");
  page::Table table{.caption = "", .columns = {"Lesson", "What it shows"}};
  for (const Lesson& lesson : lessons()) {
    page::Cell link(str(lesson.number, ". ", lesson.title));
    link.link = lesson_file(lesson.number);
    table.rows.push_back({link, lesson.summary});
  }
  page.add(table);
  page.paragraph(
      "Point at a number, or move to it with the Tab key, to see its formula, what it was computed from, and "
      "the line of source code that computed it.");
  page.command = "inkling lesson --html DIR";
  page.origin = {{"version", kVersion}};
  return page;
}

}  // namespace inkling
