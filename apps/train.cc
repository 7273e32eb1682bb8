// inkling train: trains a model on token shards, or on generated stories.
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>
#include <optional>
#include <sstream>
#include <thread>

#include "apps/command_line.h"
#include "apps/commands.h"
#include "apps/ranks/agreement.h"
#include "apps/ranks/placement.h"
#include "apps/report/live_report.h"
#include "apps/report/shell_line.h"
#include "apps/report/summary.h"
#include "apps/run/data_files.h"
#include "apps/run/format.h"
#include "apps/run/strict_json.h"
#include "apps/run/trace.h"
#include "apps/run/trainer.h"
#include "apps/train_flags.h"
#include "apps/verify/recipes.h"
#include "core/binary_file.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/ranks/collectives.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

volatile std::sig_atomic_t signal_received = 0;

// Sets handlers for SIGINT and SIGTERM. After a signal, the current step is finished and saved. A second
// signal ends the process at once. mpirun gives its processes only a second after SIGTERM, but it forwards
// SIGUSR1, after which a run has all the time that it needs.
void stop_on_signals() {
  struct sigaction handler = {};
  handler.sa_handler = [](int signal) { signal_received = signal; };
  handler.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) sigaction(signal, &handler, nullptr);
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

// Prints the settings that config.json would have, and the settings that it does not have: where the run is
// stored, on how many threads it runs, and the sizes of the stories.
int print_config(const TrainCommand& command) {
  const TrainSettings settings = command.resume ? resolve_saved(command) : resolve(command.flags);
  nlohmann::json all = settings;
  all["out"] = command.out;
  all["threads"] = threads();
  if (settings.stories()) {
    all["stories"] = {{"directory", command.out + "/data"},
                      {"train_tokens", kStoryTrainTokens},
                      {"val_tokens", kStoryValTokens}};
  }
  std::cout << all.dump(2) << std::endl;
  return 0;
}

// Trains, and writes into the report how the training ended. Returns whether the run is complete.
bool train(Trainer& trainer, report::LiveReport* page) {
  try {
    const bool complete = trainer.run([] { return signal_received != 0; });
    if (page != nullptr) page->finish(complete ? "complete" : "stopped");
    return complete;
  } catch (const Diverged& error) {
    if (page != nullptr) page->finish(error.what());
    throw;
  }
}

// What rank 0 alone has: the run's directory, and its page.
struct Files {
  explicit Files(const std::string& path) : directory(path) {
    if (!directory.warning().empty()) std::cerr << "inkling: " << directory.warning() << std::endl;
  }
  RunDirectory directory;
  std::optional<report::LiveReport> page;
};

// Rank 0 decides on the settings of the run, because some defaults depend on measured times, and opens the
// run's directory.
TrainSettings open_run(const TrainCommand& command, int ranks, std::optional<Files>& files) {
  TrainFlags flags = command.flags;
  if (!command.resume && ranks > 1 && !flags.given.contains("replicas")) flags.given["replicas"] = ranks;
  // The flags are checked before the directory is created, so that a wrong command line leaves no files.
  check_run_exists(command);
  TrainSettings settings;
  if (!command.resume) settings = resolve(flags);
  files.emplace(command.out);
  check_run_exists(command);  // again, because now the directory is locked and no other run changes it
  if (command.resume) settings = resolve_saved(command);
  if (ranks > settings.replicas) {
    throw UsageError(str("there are ", ranks, " ranks, expected at most ", settings.replicas,
                         " as in --replicas, because a rank needs a part of the batch"));
  }
  return settings;
}

// The flags that must be the same on all ranks, one on each line.
std::string flags_of(const TrainCommand& command) {
  nlohmann::json flags = command.flags.given;
  flags["out"] = command.out;
  flags["resume"] = command.resume;
  flags["model_name"] = command.flags.model_name;
  flags = flags.flatten();  // {"/model/layers": 2, "/seed": 7}
  std::string lines;
  for (const auto& [key, value] : flags.items()) {
    lines += str(flag_of(key.substr(key.rfind('/') + 1)), " ",
                 value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), "\n");
  }
  return lines;
}

// The checksum of this program.
std::string program_text() {
  const FileView program("/proc/self/exe");
  std::ostringstream text;
  text << std::hex << XXH3_64bits(program.bytes().data(), program.bytes().size());
  return text.str();
}

// Says where the ranks run, how fast they exchange messages, and what is wrong with it.
void print_placement(Ranks& ranks) {
  if (ranks.size() == 1) return;
  const std::vector<RankPlace> places = places_of_all(ranks, threads());
  const double bandwidth = measured_bandwidth(ranks);
  if (!ranks.leads()) return;
  std::cerr << "ranks: " << placement_text(places) << "; " << format_fixed(bandwidth / 1e9, 2)
            << " GB/s between ranks (" << mpi_version() << ")" << std::endl;
  for (const std::string& fault : placement_faults(places)) std::cerr << "inkling: " << fault << std::endl;
}

int run(const TrainCommand& command, Ranks& ranks) {
  set_threads(command.threads_given || ranks.size() == 1
                  ? command.threads
                  : std::min(command.threads, fair_threads(places_of_all(ranks, 1), ranks.rank())));
  if (command.print_config) return ranks.leads() ? print_config(command) : 0;
  expect_same(ranks, "the flags", flags_of(command));
  if (ranks.size() > 1) expect_same(ranks, "the programs", program_text());
  std::optional<Files> files;
  nlohmann::json chosen;
  together(ranks, [&] {
    if (ranks.leads()) chosen = open_run(command, ranks.size(), files);
  });
  const auto settings = nlohmann::json::parse(broadcast_text(ranks, chosen.dump())).get<TrainSettings>();
  expect_same(ranks, "the kernels",
              arithmetic(kernels().isa, parse_precision(settings.precision, Recording::on)));
  Trainer trainer(settings, files ? &files->directory : nullptr, ranks);
  if (command.resume) {
    trainer.resume([](const std::string& line) { std::cerr << "inkling: " << line << std::endl; });
  } else {
    trainer.start();
  }
  std::optional<ProfileReport> report;
  if (files) {
    files->directory.write_config(settings);
    report::print_plan(std::cerr, settings, trainer.step());
    if (command.profile || !command.trace.empty()) trainer.watch(report.emplace());
    if (!command.trace.empty())
      write_trace(command.trace, {});  // so that a wrong path is noticed before the training
    files->page.emplace(command.out,
                        [](const std::string& line) { std::cerr << "inkling: " << line << std::endl; });
    trainer.after_milestone([&files] { files->page->update(); });
  }
  print_placement(ranks);
  stop_on_signals();
  const bool complete = train(trainer, files ? &*files->page : nullptr);
  const int status = complete ? 0 : 128 + (signal_received == 0 ? SIGTERM : signal_received);
  if (!files) return status;
  if (complete) {
    report::print_summary(std::cout, terminal(STDOUT_FILENO), settings, trainer, command.out);
    if (!files->page->path().empty())
      std::cout << "\nThe run's curves and samples: " << files->page->path() << std::endl;
  } else {
    std::cerr << "stopped after step " << trainer.step() << " of " << settings.steps
              << ", all saved. Continue with:\n  "
              << report::shell_line({program_invocation_name, "train", "--out", command.out, "--resume"})
              << std::endl;
  }
  if (report) report_time(command, settings, *report);
  return status;
}

// Runs on all ranks that were started together. An error that all ranks share is printed by rank 0 alone. A
// rank that fails alone prints its error and ends all other ranks, which would wait for it forever.
int run_on_ranks(const TrainCommand& command) {
  const std::unique_ptr<Ranks> ranks = join_ranks();
  if (ranks->size() == 1) return run(command, *ranks);
  const auto shared = [&](const std::exception& error, int status) {
    if (ranks->leads()) print_error(error.what());
    return status;
  };
  const auto alone = [&](const std::string& what) {
    // If all ranks have failed in the same way, rank 0 is the first to speak, and ends the others.
    if (!ranks->leads()) std::this_thread::sleep_for(std::chrono::seconds(1));
    print_error(str("rank ", ranks->rank(), " on host ", ranks->host(), ": ", what));
    ranks->abort(1);
    return 1;
  };
  try {
    return run(command, *ranks);
  } catch (const SharedError& error) {
    return shared(error, error.status());
  } catch (const Diverged& error) {
    return shared(error, 1);
  } catch (const std::bad_alloc&) {
    return alone("out of memory");
  } catch (const std::exception& error) {
    return alone(error.what());
  }
}

}  // namespace

void add_train(CLI::App& app, Action& action) {
  CLI::App* train =
      app.add_subcommand("train", "Train a model on token shards, or on generated stories (the default)");
  auto command = std::make_shared<TrainCommand>();
  add_train_flags(*train, *command);
  train->callback([&action, command] { action = [command] { return run_on_ranks(*command); }; });
}

}  // namespace inkling
