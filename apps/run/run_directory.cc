#include "apps/run/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string_view>
#include <utility>

#include "core/binary_file.h"
#include "core/error.h"

namespace inkling {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr int kKeptCheckpoints = 2;
constexpr const char* kMetrics = "metrics.jsonl";
constexpr const char* kCheckpoints = "checkpoints";
constexpr const char* kManifest = "manifest.json";
constexpr const char* kUnfinished = ".unfinished";  // the folder of an unfinished checkpoint, in kCheckpoints

std::string step_name(std::int64_t step) {
  char text[32];
  std::snprintf(text, sizeof text, "step_%08" PRId64, step);
  return text;
}

// Returns the step of the checkpoint with this name. Returns nothing if the name is not exactly a name that
// step_name() writes.
std::optional<std::int64_t> step_of(const std::string& name) {
  std::int64_t step = 0;
  if (std::sscanf(name.c_str(), "step_%" SCNd64, &step) != 1) return std::nullopt;
  if (step < 0 || step_name(step) != name) return std::nullopt;
  return step;
}

std::string checksum(const std::string& path) {
  const FileView file(path);
  char text[24];
  std::snprintf(text, sizeof text, "%016" PRIx64,
                static_cast<std::uint64_t>(XXH3_64bits(file.bytes().data(), file.bytes().size())));
  return text;
}

// Returns all checkpoints in `directory`, the newest first.
std::vector<RunDirectory::Checkpoint> list_checkpoints(const std::string& directory) {
  std::vector<RunDirectory::Checkpoint> all;
  if (!fs::is_directory(directory)) return all;
  std::error_code error;
  const fs::directory_iterator entries(directory, error);
  if (error) fail(directory, ": cannot list the checkpoints: ", error.message());
  for (const auto& entry : entries) {
    const auto step = step_of(entry.path().filename().string());
    if (step && entry.is_directory()) all.push_back({*step, entry.path().string()});
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.step > b.step; });
  return all;
}

// Creates a directory, and its parents if they are missing. When the call returns, the names of the new
// directories are on disk, so that files that are synced inside them survive a power cut.
void create_directories(const std::string& path) {
  if (fs::is_directory(path)) return;
  const std::string parent = fs::path(path).parent_path().string();
  if (!parent.empty()) create_directories(parent);
  std::error_code error;
  fs::create_directory(path, error);
  if (error) fail(path, ": cannot create the directory: ", error.message());
  sync_to_disk(parent);
}

void remove_directory(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail(path, ": cannot remove the directory: ", error.message());
}

// Parses a line of metrics.jsonl. Returns nothing if the line is damaged. An undamaged line has a step, and
// all its values are numbers. (JSON has no NaN: a loss of NaN was written as null, so its line counts as
// damaged.)
std::optional<json> parse_metrics(std::string_view text, const std::string& path) {
  constexpr std::int64_t kMostSteps = std::int64_t{1} << 31;  // the largest value of --steps
  try {
    json line = parse_json(text, path);
    const JsonObject object(line, path);
    object.integer("step", 0, kMostSteps);
    for (const auto& [key, value] : line.items()) object.number(key);
    return line;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void check_manifest(const std::string& directory) {
  const std::string manifest_path = directory + "/" + kManifest;
  const json manifest = read_json(manifest_path);
  const JsonObject files = JsonObject(manifest, manifest_path).object("files");
  const auto& names = manifest["files"];
  if (names.empty()) fail(manifest_path, ": files is empty, expected the names of a checkpoint's files");
  for (const auto& [name, value] : names.items()) {
    const JsonObject want = files.object(name);
    const std::int64_t expected = want.integer("bytes", 0, std::numeric_limits<std::int64_t>::max());
    const std::string expected_checksum = want.text("xxh3");
    if (name.empty() || name.find_first_of(std::string("/\0", 2)) != std::string::npos)
      fail(manifest_path, ": files contains the name ", json(name).dump(),
           ", expected only names of files in this directory");
    const std::string path = str(directory, "/", name);
    std::error_code error;
    const auto size = fs::file_size(path, error);
    if (error) fail(manifest_path, ": cannot find the size of ", json(name).dump(), ": ", error.message());
    if (std::cmp_not_equal(size, expected))
      fail(path, ": size is ", size, " bytes, expected ", expected, " as in the manifest");
    if (checksum(path) != expected_checksum)
      fail(path, ": the checksum of the contents differs from the checksum in the manifest");
  }
}

// Returns a description of the damage in a checkpoint; empty if it is not damaged.
std::string damage(const std::string& directory) {
  try {
    check_manifest(directory);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace

void write_json(const std::string& path, const json& value, FolderSync folder) {
  AtomicFile file(path);
  file.write(value.dump(2) + "\n");
  file.commit(folder);
}

RunDirectory::RunDirectory(const std::string& path) : path_(path) {
  create_directories(path_);
  const std::string lock_path = file("lock");
  lock_ = uninterrupted([&] { return open(lock_path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); });
  if (lock_ < 0) fail(path_, ": cannot write to the output directory: ", std::strerror(errno));
  const bool locked = uninterrupted([&] { return flock(lock_, LOCK_EX | LOCK_NB); }) == 0;
  if (!locked && errno != EWOULDBLOCK) {
    warning_ = str(lock_path, ": this file system cannot lock files (", std::strerror(errno),
                   "), so nothing stops a second run from writing to this directory");
  } else if (!locked) {
    char pid[32] = {};
    const ssize_t got = pread(lock_, pid, sizeof pid - 1, 0);
    close(lock_);
    fail(path_, ": another run (process ", got > 0 ? pid : "?",
         ") is using this directory; choose another --out");
  }
  const std::string pid = std::to_string(getpid());
  if (uninterrupted([&] { return ftruncate(lock_, 0); }) != 0 ||
      uninterrupted([&] { return pwrite(lock_, pid.data(), pid.size(), 0); }) < 0) {
    const std::string why = std::strerror(errno);
    close(lock_);
    fail(lock_path, ": cannot write: ", why);
  }
}

RunDirectory::~RunDirectory() {
  close(lock_);
}

bool RunDirectory::has_run(const std::string& path) {
  return fs::exists(path + "/config.json") || fs::exists(path + "/" + kMetrics) ||
         fs::exists(path + "/" + kCheckpoints);
}

// This run holds the lock, so no other run is writing to this directory. Where files cannot be locked, the
// user was warned.
void RunDirectory::remove_unfinished() const {
  for (const char* folder : {"", "data", "samples"}) inkling::remove_unfinished(file(folder));
  std::error_code none;
  fs::remove_all(str(file(kCheckpoints), "/", kUnfinished), none);
}

json RunDirectory::read_config() const {
  return read_json(file("config.json"));
}

void RunDirectory::write_config(const json& config) const {
  write_json(file("config.json"), config);
}

void RunDirectory::append_metrics(const json& line) const {
  append_to_file(file(kMetrics), line.dump() + "\n");
}

void RunDirectory::sync_metrics() const {
  if (!fs::exists(file(kMetrics))) return;
  sync_to_disk(file(kMetrics));
  sync_to_disk(path_);  // also writes the name of the file in its directory to disk
}

std::vector<json> RunDirectory::read_metrics() const {
  std::vector<json> lines;
  const std::string path = file(kMetrics);
  if (!fs::exists(path) || fs::file_size(path) == 0) return lines;
  const FileView view(path);
  const char* next = view.text().data();
  const char* end = next + view.text().size();
  while (next < end) {
    const char* newline = std::find(next, end, '\n');
    if (newline == end) break;  // after a crash, the last line may be incomplete
    if (auto line = parse_metrics({next, newline}, path)) lines.push_back(std::move(*line));
    next = newline + 1;
  }
  return lines;
}

void RunDirectory::drop_metrics_after(std::int64_t step) const {
  const std::vector<json> lines = read_metrics();
  AtomicFile out(file(kMetrics));
  for (const json& line : lines) {
    if (line["step"].get<std::int64_t>() <= step) out.write(line.dump() + "\n");
  }
  out.commit();
}

void RunDirectory::write_sample(std::int64_t step, const std::string& text) const {
  create_directories(file("samples"));
  AtomicFile out(file("samples/" + step_name(step) + ".txt"));
  out.write(text);
  out.commit();
}

void RunDirectory::commit_checkpoint(std::int64_t step,
                                     const std::function<void(const std::string&)>& write) {
  const std::string parent = file(kCheckpoints), target = parent + "/" + step_name(step);
  const std::string hidden = parent + "/" + kUnfinished;
  create_directories(parent);
  remove_directory(hidden);
  if (fs::exists(target)) {  // the checkpoint was saved before, by the run that this run resumes
    if (damage(target).empty()) return;
    remove_directory(target);  // this run skipped the damaged checkpoint on resume, and now replaces it
  }
  std::error_code none;  // ignored: an error while cleaning up would hide the first error
  try {
    fs::create_directory(hidden);
    write(hidden);
    json files = json::object();
    for (const auto& entry : fs::directory_iterator(hidden)) {
      const std::string path = entry.path().string();
      files[entry.path().filename().string()] = {{"bytes", fs::file_size(path)}, {"xxh3", checksum(path)}};
    }
    write_json(hidden + "/" + kManifest, {{"files", files}}, FolderSync::by_caller);
    sync_to_disk(hidden);
    sync_metrics();  // the lines of a checkpoint's steps are on disk before the checkpoint
    fs::rename(hidden, target);
    sync_to_disk(parent);
  } catch (const fs::filesystem_error& error) {
    fs::remove_all(hidden, none);
    fail(target, ": cannot commit the checkpoint: ", error.code().message());
  } catch (...) {
    fs::remove_all(hidden, none);
    throw;
  }
  delete_old_checkpoints(step);
}

// A skipped checkpoint may have been whole but unreadable for a moment. So it is deleted only now, when the
// run has saved another one, and only if it is still damaged.
void RunDirectory::delete_old_checkpoints(std::int64_t newest) {
  for (const Checkpoint& skipped : std::exchange(skipped_, {})) {
    if (skipped.step != newest && !damage(skipped.directory).empty()) remove_directory(skipped.directory);
  }
  std::vector<Checkpoint> all = list_checkpoints(file(kCheckpoints));
  // A later checkpoint is left only if it was skipped and can be read again.
  std::erase_if(all, [&](const Checkpoint& checkpoint) { return checkpoint.step > newest; });
  for (std::size_t i = kKeptCheckpoints; i < all.size(); ++i) remove_directory(all[i].directory);
}

std::optional<RunDirectory::Checkpoint> RunDirectory::newest_checkpoint(
    const std::function<void(const std::string&)>& report) {
  std::vector<std::string> messages;
  std::string all_damage;
  skipped_.clear();
  for (const Checkpoint& checkpoint : list_checkpoints(file(kCheckpoints))) {
    const std::string what = damage(checkpoint.directory);
    if (what.empty()) {
      for (const std::string& line : messages) report(line);
      return checkpoint;
    }
    skipped_.push_back(checkpoint);
    messages.push_back(str(checkpoint.directory, ": skipped: ", what));
    all_damage += str(all_damage.empty() ? "" : "; ", what);
  }
  if (skipped_.empty()) return std::nullopt;
  fail(path_,
       ": every checkpoint is damaged, so the run cannot continue, and nothing was changed; start again with "
       "another --out (",
       all_damage, ")");
}

std::string RunDirectory::last_checkpoint() const {
  for (const Checkpoint& checkpoint : list_checkpoints(file(kCheckpoints))) {
    const auto same = [&](const Checkpoint& skipped) { return skipped.step == checkpoint.step; };
    if (std::none_of(skipped_.begin(), skipped_.end(), same)) return checkpoint.directory;
  }
  return "";
}

}  // namespace inkling
