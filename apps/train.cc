// inkling train: trains a model on token shards, or on generated stories.
#include <unistd.h>

#include <csignal>
#include <iostream>
#include <optional>

#include "apps/commands.h"
#include "apps/report/live_report.h"
#include "apps/report/shell_line.h"
#include "apps/report/summary.h"
#include "apps/run/data_files.h"
#include "apps/run/strict_json.h"
#include "apps/run/trace.h"
#include "apps/run/trainer.h"
#include "apps/train_flags.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

volatile std::sig_atomic_t signal_received = 0;

// Sets handlers for SIGINT and SIGTERM. After a signal, the current step is finished and saved. A second
// signal ends the process at once.
void stop_on_signals() {
  struct sigaction handler = {};
  handler.sa_handler = [](int signal) { signal_received = signal; };
  handler.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &handler, nullptr);
}

// Prints the profile and writes the trace, if the user asked for them.
void report_time(const TrainCommand& command, const TrainSettings& settings, ProfileReport& report) {
  if (command.profile) {
    report.print(std::cout, str(threads(), " threads, ", name(kernels().isa), ", ", settings.precision));
  }
  if (command.trace.empty()) return;
  write_trace(command.trace, report.profile().kept());
  std::cerr << "the last " << report.profile().kept().size() << " steps are in " << command.trace
            << " (open it in https://ui.perfetto.dev or chrome://tracing)" << std::endl;
}

TrainSettings resolve_saved(const TrainCommand& command) {
  const std::string path = command.out + "/config.json";
  TrainSettings settings = resolve_resumed(read_json(path), command.flags, path);
  expect_data(settings);
  return settings;
}

// --resume needs a run in the directory; without --resume there must be none.
void check_run_exists(const TrainCommand& command) {
  const bool there = RunDirectory::has_run(command.out);
  if (command.resume && !there)
    throw UsageError(
        str(command.out, ": there is no run to resume in this directory; leave out --resume to start a run"));
  if (!command.resume && there) {
    throw UsageError(
        str(command.out,
            ": this directory already has a run; --resume continues it, another --out starts a new run"));
  }
}

int print_config(const TrainCommand& command) {
  const TrainSettings settings = command.resume ? resolve_saved(command) : resolve(command.flags);
  std::cout << nlohmann::json(settings).dump(2) << std::endl;
  return 0;
}

// Trains, and writes into the report how the training ended. Returns whether the run is complete.
bool train(Trainer& trainer, report::LiveReport& page) {
  try {
    const bool complete = trainer.run([] { return signal_received != 0; });
    page.finish(complete ? "complete" : "stopped");
    return complete;
  } catch (const Diverged& error) {
    page.finish(error.what());
    throw;
  }
}

int run(const TrainCommand& command) {
  set_threads(command.threads);
  if (command.print_config) return print_config(command);
  // The flags are checked before the directory is created, so that a wrong command line leaves no files.
  check_run_exists(command);
  TrainSettings settings;
  if (!command.resume) settings = resolve(command.flags);
  RunDirectory directory(command.out);
  if (!directory.warning().empty()) std::cerr << "inkling: " << directory.warning() << std::endl;
  check_run_exists(command);  // again, because now the directory is locked and no other run changes it
  if (command.resume) settings = resolve_saved(command);
  Trainer trainer(settings, directory);
  if (command.resume) {
    trainer.resume([](const std::string& line) { std::cerr << "inkling: " << line << std::endl; });
  } else {
    trainer.start();
  }
  directory.write_config(settings);
  report::print_plan(std::cerr, settings, trainer.step());

  std::optional<ProfileReport> report;
  if (command.profile || !command.trace.empty()) trainer.watch(report.emplace());
  if (!command.trace.empty())
    write_trace(command.trace, {});  // so that a wrong path is noticed before the training

  report::LiveReport page(command.out,
                          [](const std::string& line) { std::cerr << "inkling: " << line << std::endl; });
  trainer.after_milestone([&page] { page.update(); });
  stop_on_signals();
  const bool complete = train(trainer, page);
  if (complete) {
    report::print_summary(std::cout, terminal(STDOUT_FILENO), settings, trainer, command.out);
    if (!page.path().empty()) std::cout << "\nThe run's curves and samples: " << page.path() << std::endl;
  } else {
    std::cerr << "stopped after step " << trainer.step() << " of " << settings.steps
              << ", all saved. Continue with:\n  "
              << report::shell_line({program_invocation_name, "train", "--out", command.out, "--resume"})
              << std::endl;
  }
  if (report) report_time(command, settings, *report);
  return complete ? 0 : 128 + signal_received;
}

}  // namespace

void add_train(CLI::App& app, Action& action) {
  CLI::App* train =
      app.add_subcommand("train", "Train a model on token shards, or on generated stories (the default)");
  auto command = std::make_shared<TrainCommand>();
  add_train_flags(*train, *command);
  train->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
