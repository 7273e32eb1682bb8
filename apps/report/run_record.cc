#include "apps/report/run_record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <string_view>

#include "apps/run/run_directory.h"
#include "apps/run/strict_json.h"
#include "core/binary_file.h"
#include "nn/layer_norms.h"

namespace inkling::report {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr std::size_t kMostSamples = 60;  // if a run has more samples, a report shows this many of them
constexpr std::size_t kMostSampleBytes = 4000;

// Returns whether a training is running, which means that it holds the lock of the directory. To find out,
// this function takes a shared lock for a moment.
bool is_locked(const std::string& path) {
  const int lock = open((path + "/lock").c_str(), O_RDONLY | O_CLOEXEC);
  if (lock < 0) return false;
  const bool locked = flock(lock, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(lock);
  return locked;
}

// Adds a line of metrics.jsonl to the record. Error if the line is damaged.
void add_line(RunRecord& run, std::string_view text, const std::string& where) {
  const json line = parse_json(text, where);
  const JsonObject object(line, where);
  const std::int64_t step = object.integer("step", 0, kMostCount);
  const auto number = [&](const char* key) { return object.has(key) ? object.number(key) : kNone; };
  if (object.has("val_loss")) {
    ValidationMetrics v{.step = step, .loss = object.number("val_loss")};
    if (object.has("min_over_rows")) v.min_over_rows = object.number("min_over_rows");
    if (object.has("min_over_stories")) v.min_over_stories = object.number("min_over_stories");
    const std::vector<std::string> parts = part_names(run.settings.model.layers);
    for (const auto& [prefix, norms] :
         {std::pair{"weight_norm_", &v.weight_norms}, {"grad_norm_", &v.grad_norms}}) {
      if (!object.has(prefix + parts.front())) continue;
      for (const std::string& part : parts) norms->push_back(object.number(prefix + part));
    }
    run.validations.push_back(v);
    return;
  }
  StepMetrics s{.step = step, .lr = object.number("lr"), .ms = object.number("ms")};
  s.loss = number("loss");
  s.grad_norm = number("grad_norm");
  s.tokens_per_s = number("tokens_per_s");
  run.steps.push_back(s);
}

// A run that is resumed after a crash may write the line of a step a second time. Then the last line counts.
template <class Metrics>
void order_by_step(std::vector<Metrics>& all) {
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  const auto same = [](const auto& a, const auto& b) { return a.step == b.step; };
  all.erase(all.begin(), std::unique(all.rbegin(), all.rend(), same).base());
}

void read_metrics(RunRecord& run) {
  const std::string path = run.path + "/metrics.jsonl";
  if (!fs::exists(path) || fs::file_size(path) == 0) return;
  struct stat status = {};
  if (stat(path.c_str(), &status) == 0)
    run.written =
        static_cast<double>(status.st_mtim.tv_sec) + 1e-9 * static_cast<double>(status.st_mtim.tv_nsec);
  const FileView file(path);
  std::string_view rest = file.text();
  std::int64_t number = 0, damaged = 0;
  std::string first;
  for (std::size_t end; (end = rest.find('\n')) != rest.npos; rest.remove_prefix(end + 1)) {
    ++number;
    try {
      add_line(run, rest.substr(0, end), str(path, ": line ", number));
    } catch (const Error& error) {
      if (damaged++ == 0) first = error.what();
    }
  }
  if (damaged == 1) run.warnings.push_back(first + "; the line is left out");
  if (damaged > 1) run.warnings.push_back(str(first, "; this line and ", damaged - 1, " more are left out"));
  // While a run is training, its last line may be incomplete. This is not damage.
  if (!rest.empty() && !run.is_running)
    run.warnings.push_back(str(path, ": line ", number + 1, " is only half-written and is left out"));
  order_by_step(run.steps);
  order_by_step(run.validations);
  double seconds = 0;
  for (StepMetrics& s : run.steps) s.seconds = seconds += s.ms / 1000;
}

std::optional<std::int64_t> step_of(const std::string& file_name) {
  constexpr std::string_view kStart = "step_", kEnd = ".txt";
  if (!file_name.starts_with(kStart) || !file_name.ends_with(kEnd)) return std::nullopt;
  const std::string digits = file_name.substr(kStart.size(), file_name.size() - kStart.size() - kEnd.size());
  if (digits.empty() || digits.size() > 10 || digits.find_first_not_of("0123456789") != digits.npos)
    return std::nullopt;
  return std::stoll(digits);
}

void read_samples(RunRecord& run) {
  const std::string folder = run.path + "/samples";
  if (!fs::is_directory(folder)) return;
  std::vector<std::pair<std::int64_t, std::string>> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto step = step_of(entry.path().filename().string());
    if (step && entry.is_regular_file() && entry.file_size() > 0)
      files.emplace_back(*step, entry.path().string());
  }
  std::sort(files.begin(), files.end());
  const std::size_t shown = std::min(files.size(), kMostSamples);
  for (std::size_t i = 0; i < shown; ++i) {
    const auto& [step, path] = files[shown == 1 ? 0 : i * (files.size() - 1) / (shown - 1)];
    const FileView file(path);
    const bool is_long = file.text().size() > kMostSampleBytes;
    run.samples.push_back(
        {step, std::string(file.text().substr(0, kMostSampleBytes)) + (is_long ? " ..." : "")});
  }
}

}  // namespace

double RunRecord::seconds(std::int64_t step) const {
  const auto after = std::upper_bound(steps.begin(), steps.end(), step,
                                      [](std::int64_t s, const StepMetrics& m) { return s < m.step; });
  return after == steps.begin() ? 0.0 : std::prev(after)->seconds;
}

RunRecord read_run(const std::string& path) {
  if (!fs::exists(path)) fail(path, ": no such directory, expected the directory of a run");
  const std::string config = path + "/config.json";
  if (!fs::exists(config))
    fail(path, ": there is no config.json, so this is not the directory of a run of inkling train");
  RunRecord run;
  run.path = path;
  run.name = fs::absolute(path).lexically_normal().filename().string();
  if (run.name.empty()) run.name = fs::absolute(path).lexically_normal().parent_path().filename().string();
  run.settings = resolve_resumed(read_json(config), TrainFlags{}, config);
  run.is_running = is_locked(path);
  read_metrics(run);
  read_samples(run);
  run.session = read_session(path);
  return run;
}

}  // namespace inkling::report
