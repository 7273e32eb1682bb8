#include "apps/command_line.h"

#include <unistd.h>

#include <iostream>

#include "apps/run/terminal_text.h"
#include "core/error.h"

namespace inkling {

namespace {

// Checks that the first word of the command line is a subcommand. For a wrong subcommand, CLI11 only says
// that a subcommand is missing; this error names the wrong word.
void check_first(const CLI::App& app, const std::string& word) {
  if (word.empty() || word == "-h" || word == "--help") return;
  std::string names;
  for (const CLI::App* subcommand : app.get_subcommands({})) {
    if (subcommand->get_name() == word) return;
    names += (names.empty() ? "" : ", ") + subcommand->get_name();
  }
  throw UsageError(str("no such subcommand: ", word, ", expected one of ", names));
}

// Refuses a command line that gives a flag more than once.
void check_given_once(const CLI::App& app) {
  for (const CLI::App* subcommand : app.get_subcommands()) {
    for (const CLI::Option* option : subcommand->get_options()) {
      if (option->count() < 2 || option->get_items_expected_max() > 1) continue;
      std::string names;
      for (const std::string& name : option->get_lnames()) names += (names.empty() ? "--" : " or --") + name;
      throw UsageError(
          str(names, " is given ", option->count() == 2 ? "twice" : "several times", ", expected once"));
    }
  }
}

// Returns CLI11's error message without names of C++ types.
std::string in_plain_words(const CLI::ParseError& error) {
  const std::string message = error.what();
  const bool needs_value = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ArgumentMismatch);
  return needs_value ? message.substr(0, message.find(':')) + " needs a value" : message;
}

}  // namespace

void print_error(std::string message) {
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::cerr << "inkling: " << terminal_text(terminal(STDERR_FILENO), message) << std::endl;
}

Action parse_command_line(int argc, const char* const* argv) {
  CLI::App app("inkling trains GPT-2-style language models on the CPU, from scratch.", "inkling");
  app.require_subcommand(1);
  Action action;
  add_train(app, action);
  add_generate(app, action);
  add_chat(app, action);
  add_tokenize(app, action);
  add_eval(app, action);
  add_explain(app, action);
  add_lesson(app, action);
  add_report(app, action);
  add_info(app, action);
  add_inspect(app, action);
  add_convert(app, action);
  add_story_chats(app, action);
  add_verify(app, action);
  check_first(app, argc > 1 ? argv[1] : "");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return [help = app.help()] {
      std::cout << help;
      return 0;
    };
  } catch (const CLI::ParseError& error) {
    check_given_once(app);
    throw UsageError(str(in_plain_words(error), " (see inkling --help)"));
  }
  check_given_once(app);
  return action;
}

}  // namespace inkling
