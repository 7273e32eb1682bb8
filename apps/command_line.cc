#include "apps/command_line.h"

#include <unistd.h>

#include <iostream>

#include "apps/run/terminal_text.h"
#include "core/error.h"

namespace inkling {

namespace {

// Returns the subcommand that the first word of the command line names, or nullptr if there is no word or it
// asks for help. For a wrong subcommand, CLI11 only says that a subcommand is missing; this error names the
// wrong word.
const CLI::App* find_subcommand(const CLI::App& app, const std::string& word) {
  if (word.empty() || word == "-h" || word == "--help") return nullptr;
  std::string names;
  for (const CLI::App* subcommand : app.get_subcommands({})) {
    if (subcommand->get_name() == word) return subcommand;
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

std::string see_help(const CLI::App& app) {
  const std::string name = app.get_name();
  return str(" (see inkling ", name == "inkling" ? "" : name + " ", "--help)");
}

// Refuses flags that the subcommand does not have, and a value for a flag that takes none, for example
// --resume=yes.
void check_flags(const CLI::App& subcommand, int argc, const char* const* argv) {
  for (int i = 2; i < argc && argv[i] != std::string_view("--"); ++i) {
    const std::string word = argv[i];
    if (!word.starts_with("--")) continue;
    const std::string name = word.substr(0, word.find('='));
    const CLI::Option* option = subcommand.get_option_no_throw(name);
    if (option == nullptr) throw UsageError(str("there is no flag ", name, see_help(subcommand)));
    if (name.size() < word.size() && option->get_items_expected_max() == 0)
      throw UsageError(str(name, " takes no value, got ", word));
  }
}

// The list of flags. CLI11 marks the second name of a switch such as --shuffle, --no-shuffle with {false}.
std::string help_of(const CLI::App& app) {
  constexpr std::string_view kMark = "{false}";
  std::string text = app.help();
  for (std::size_t at = text.find(kMark); at != text.npos; at = text.find(kMark))
    text.erase(at, kMark.size());
  return text;
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
  const CLI::App* subcommand = find_subcommand(app, argc > 1 ? argv[1] : "");
  if (subcommand != nullptr) check_flags(*subcommand, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return [help = help_of(app)] {
      std::cout << help;
      return 0;
    };
  } catch (const CLI::ParseError& error) {
    check_given_once(app);
    throw UsageError(in_plain_words(error) + see_help(subcommand != nullptr ? *subcommand : app));
  }
  check_given_once(app);
  return action;
}

}  // namespace inkling
