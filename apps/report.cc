// inkling report: makes a page of a training run, or compares several runs.
#include <filesystem>
#include <iostream>

#include "apps/commands.h"
#include "apps/report/event_file.h"
#include "apps/report/report.h"
#include "core/binary_file.h"
#include "core/error.h"

namespace inkling {

namespace {

struct ReportCommand {
  std::vector<std::string> runs;
  std::string out, csv, tensorboard;
};

// Writes a file at once, and prints its path.
void write_file(const std::string& path, const std::string& contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
  std::cout << path << "\n";
}

void write_event_files(const std::string& directory, const std::vector<report::RunRecord>& runs) {
  const std::vector<std::string> folders = report::event_folders(runs);
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const std::string folder = directory + "/" + folders[r];
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) fail(folder, ": cannot create the directory: ", error.message());
    write_file(folder + "/" + report::kEventFile, report::event_file(runs[r]));
  }
}

int run(const ReportCommand& command) {
  const bool compares = command.runs.size() > 1;
  if (compares && command.out.empty())
    throw UsageError("report: several runs are compared in one page, expected --out FILE for it");
  std::vector<report::RunRecord> runs;
  for (const std::string& path : command.runs) {
    runs.push_back(report::read_run(path));
    for (const std::string& warning : runs.back().warnings) std::cerr << "inkling: " << warning << std::endl;
  }
  const std::string out = command.out.empty() ? runs[0].path + "/" + report::kReportFile : command.out;
  report::write_page(out, compares ? report::comparison_page(runs, out) : report::run_page(runs[0]));
  for (const report::RunRecord& r : runs) {
    std::cout << r.path << ": " << report::state_of(r) << ". " << report::verdict_on(r).headline << "\n";
  }
  std::cout << out << "\n";
  if (!command.csv.empty()) write_file(command.csv, report::metrics_table(runs));
  if (!command.tensorboard.empty()) write_event_files(command.tensorboard, runs);
  return 0;
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  CLI::App* report =
      app.add_subcommand("report", "Make a page with the curves of a run, or compare several runs");
  auto command = std::make_shared<ReportCommand>();
  report->add_option("RUN", command->runs, "the directories of runs of inkling train")->required();
  report->add_option("--out", command->out, "the page; default: report.html in the directory of the run");
  report->add_option("--csv", command->csv,
                     "also write the metrics to this file, as comma-separated values; default: no file");
  report->add_option(
      "--tensorboard", command->tensorboard,
      "also write the metrics of each run as an event file of TensorBoard, in a folder for the run inside of "
      "this directory; default: no files");
  report->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
