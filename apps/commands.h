// The subcommands of `inkling`. Each adds its flags to the command line and says what to run once it was
// chosen; the run's result is the process's exit status.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace inkling {

using Action = std::function<int()>;

void add_train(CLI::App& app, Action& action);
void add_generate(CLI::App& app, Action& action);
void add_tokenize(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_info(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);

}  // namespace inkling
