// inkling: trains GPT-2-style language models on the CPU. One binary, a subcommand for each thing one does
// with a model.
//
// stdout carries results, stderr progress and one line for whatever went wrong. Exit status: 0 done, 1
// something is wrong with a file or a computation, 2 the command line asks for what cannot be, 128 + signal
// when interrupted.
#include <exception>
#include <iostream>
#include <new>

#include "apps/commands.h"
#include "core/error.h"

namespace {

// CLI11 only says that a subcommand is missing.
void check_first(const CLI::App& app, const std::string& word) {
  if (word.empty() || word == "-h" || word == "--help") return;
  std::string names;
  for (const CLI::App* subcommand : app.get_subcommands({})) {
    if (subcommand->get_name() == word) return;
    names += (names.empty() ? "" : ", ") + subcommand->get_name();
  }
  throw inkling::UsageError(inkling::str("no such subcommand: ", word, ", expected one of ", names));
}

}  // namespace

int main(int argc, char** argv) {
  using namespace inkling;
  try {
    CLI::App app("inkling trains GPT-2-style language models on the CPU, from scratch.", "inkling");
    app.require_subcommand(1);
    Action action;
    add_train(app, action);
    add_generate(app, action);
    add_tokenize(app, action);
    add_eval(app, action);
    add_info(app, action);
    add_inspect(app, action);
    check_first(app, argc > 1 ? argv[1] : "");
    try {
      app.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
      return app.exit(help);
    } catch (const CLI::ParseError& error) {
      throw UsageError(str(error.what(), " (see inkling --help)"));
    }
    const int status = action();
    if (!std::cout.flush()) fail("cannot write to stdout");
    return status;
  } catch (const UsageError& error) {
    std::cerr << "inkling: " << error.what() << std::endl;
    return 2;
  } catch (const std::bad_alloc&) {
    std::cerr << "inkling: out of memory" << std::endl;
    return 1;
  } catch (const std::exception& error) {
    std::cerr << "inkling: " << error.what() << std::endl;
    return 1;
  }
}
