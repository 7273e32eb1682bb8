// inkling lesson: shows how a language model learns, with numbers that the engine computes.
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <iostream>

#include "apps/commands.h"
#include "apps/lessons/lessons.h"
#include "apps/number_flag.h"
#include "apps/page/page_html.h"
#include "apps/page/page_json.h"
#include "apps/page/page_terminal.h"
#include "core/binary_file.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

struct LessonCommand {
  std::string number;  // empty: no number was given
  std::string html, check, broken;
  std::uint64_t seed = LessonSettings().seed;
  int threads = hardware_threads();
  bool as_json = false, quick = false;
};

// Progress goes to a line of stderr that is drawn again, and only to a terminal.
LessonSettings settings_of(const LessonCommand& command) {
  LessonSettings settings;
  settings.quick = command.quick;
  settings.seed = command.seed;
  settings.broken = command.broken;
  if (terminal(STDERR_FILENO).redraws) {
    settings.progress = [](const std::string& text) { std::cerr << "\r\33[K" << text << std::flush; };
  }
  return settings;
}

page::Page write_page(const Lesson& lesson, const LessonSettings& settings) {
  page::Page page = lesson_page(lesson, settings);
  settings.progress("");
  return page;
}

void write_file(const std::string& directory, const std::string& name, const std::string& text) {
  std::filesystem::create_directories(directory);
  AtomicFile file((std::filesystem::path(directory) / name).string());
  file.write(text);
  file.commit();
}

void print_list() {
  for (const Lesson& lesson : lessons()) {
    std::cout << lesson.number << "  " << lesson.title << ": " << lesson.summary << "\n";
    for (const Break& b : lesson.breaks) std::cout << "     --break=" << b.name << "  " << b.summary << "\n";
    if (lesson.has_quick_form) std::cout << "     --quick  smaller models and fewer steps\n";
  }
}

// Writes the pages of all lessons and an index. With --quick, lessons with a quick form are written in it.
void write_all(const LessonCommand& command) {
  for (const Lesson& lesson : lessons()) {
    LessonSettings settings = settings_of(command);
    settings.quick = command.quick && lesson.has_quick_form;
    const page::Page page = write_page(lesson, settings);
    write_file(command.html, lesson_file(lesson.number), page_html(page));
    std::cout << (std::filesystem::path(command.html) / lesson_file(lesson.number)).string() << "\n";
  }
  write_file(command.html, "index.html", page_html(index_page()));
  std::cout << (std::filesystem::path(command.html) / "index.html").string() << "\n";
}

// Computes the lesson again, with the seed of the file, and compares every number.
int check(const LessonCommand& command, const Lesson& chosen) {
  const FileView file(command.check);
  const nlohmann::ordered_json earlier = page::read_page_json(command.check, file.text());
  const auto& origin = earlier.at("origin");
  const bool known = origin.contains("lesson") && origin["lesson"].is_number_integer() &&
                     origin.contains("seed") && origin["seed"].is_number_unsigned() &&
                     origin.contains("break") && origin["break"].is_string();
  if (!known)
    fail(command.check, ": its origin has no lesson, seed and break, so it is not the page of a lesson");
  if (origin["lesson"] != chosen.number) {
    fail(command.check, ": has the numbers of lesson ", origin["lesson"], ", expected lesson ",
         chosen.number);
  }
  LessonSettings settings = settings_of(command);
  settings.seed = origin["seed"].get<std::uint64_t>();
  settings.broken = origin["break"].get<std::string>();
  settings.quick = origin.contains("quick") && origin["quick"] == true;
  const page::Page page = write_page(chosen, settings);
  const std::vector<std::string> different = differences(page, earlier);
  for (const std::string& line : different) std::cout << line << "\n";
  if (!different.empty())
    fail(command.check, ": ", different.size(), " numbers differ from the numbers computed now");
  std::cout << command.check << ": all " << page.numbers().size()
            << " numbers are the same when computed again\n";
  return 0;
}

int run(const LessonCommand& command) {
  set_threads(command.threads);
  if (command.number.empty()) {
    if (command.as_json || !command.check.empty() || !command.broken.empty()) {
      throw UsageError("lesson: --json, --check and --break need the number of a lesson");
    }
    if (command.quick && command.html.empty())
      throw UsageError("lesson: --quick needs the number of a lesson, or --html for all lessons");
    command.html.empty() ? print_list() : write_all(command);
    return 0;
  }
  const Lesson& chosen = lesson(command.number);
  if (!command.check.empty()) return check(command, chosen);
  const page::Page page = write_page(chosen, settings_of(command));
  if (command.as_json) {
    std::cout << page_json(page).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
  } else if (command.html.empty()) {
    std::cout << page_text(page, terminal(STDOUT_FILENO));
  }
  if (!command.html.empty()) write_file(command.html, lesson_file(chosen.number), page_html(page));
  if (!command.html.empty() && !command.as_json)
    std::cout << (std::filesystem::path(command.html) / lesson_file(chosen.number)).string() << "\n";
  return 0;
}

}  // namespace

void add_lesson(CLI::App& app, Action& action) {
  CLI::App* lesson =
      app.add_subcommand("lesson", "Show how a language model learns, with the engine's numbers");
  auto command = std::make_shared<LessonCommand>();
  lesson->add_option("number", command->number, "the number of the lesson; default: list the lessons");
  lesson->add_flag("--json", command->as_json, "print every number of the lesson as JSON");
  lesson->add_option(
      "--html", command->html,
      "write the lesson's page into this directory, without a number the pages of all lessons; "
      "default: print the lesson");
  lesson->add_option("--check", command->check,
                     "compare the numbers with a page or JSON that was made before; default: do not compare");
  lesson->add_option("--break", command->broken,
                     "break one thing, and show the result beside the right one; default: break nothing");
  lesson->add_flag("--quick", command->quick,
                   "smaller models and fewer steps, for a lesson that takes minutes");
  number_flag(lesson->add_option("--seed", command->seed, "seed of the random numbers"), std::uint64_t{0},
              UINT64_MAX)
      ->capture_default_str();
  number_flag(lesson->add_option("--threads", command->threads,
                                 "number of threads; the result does not depend on it"),
              1, kMostThreads)
      ->capture_default_str();
  lesson->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
