// The subcommands of `inkling`. Each add_...() function adds the flags of its subcommand. If the user chooses
// this subcommand, parsing sets `action`; the result of the action is the exit status of the process.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace inkling {

using Action = std::function<int()>;

void add_train(CLI::App& app, Action& action);
void add_generate(CLI::App& app, Action& action);
void add_chat(CLI::App& app, Action& action);
void add_story_chats(CLI::App& app, Action& action);
void add_tokenize(CLI::App& app, Action& action);
void add_eval(CLI::App& app, Action& action);
void add_explain(CLI::App& app, Action& action);
void add_lesson(CLI::App& app, Action& action);
void add_report(CLI::App& app, Action& action);
void add_info(CLI::App& app, Action& action);
void add_inspect(CLI::App& app, Action& action);
void add_convert(CLI::App& app, Action& action);
void add_verify(CLI::App& app, Action& action);

}  // namespace inkling
