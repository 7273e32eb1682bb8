#include "tests/faults/short_run.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/run/run_directory.h"
#include "apps/run/trainer.h"
#include "apps/text/shard.h"
#include "apps/tokenizer/tokenizer.h"
#include "tests/support.h"

namespace inkling::test {

using nlohmann::json;

namespace {

constexpr std::int32_t kVocab = 8;
constexpr const char* kMetrics = "run/metrics.jsonl";
constexpr const char* kNewest = "run/checkpoints/step_00000003/";

void write_tokens(const std::string& path, std::int32_t count) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t i = 0; i < count; ++i) tokens[static_cast<std::size_t>(i)] = i * i % kVocab;
  ShardWriter shard(path, kVocab);
  shard.append(tokens);
  shard.commit();
}

// Forbids pages of 2 MiB while an object exists. A tiny run would spend most of its time on zeroing such
// pages.
class SmallPages {
 public:
  SmallPages() { prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0); }
  ~SmallPages() { prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0); }
  SmallPages(const SmallPages&) = delete;
  SmallPages& operator=(const SmallPages&) = delete;
};

// Hides the progress that the runs write to std::cerr.
class SilentErrorStream {
 public:
  SilentErrorStream() : before_(std::cerr.rdbuf(text_.rdbuf())) {}
  ~SilentErrorStream() { std::cerr.rdbuf(before_); }
  SilentErrorStream(const SilentErrorStream&) = delete;
  SilentErrorStream& operator=(const SilentErrorStream&) = delete;

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

// The lines of metrics.jsonl without their times. A line that is not JSON stays unchanged.
std::vector<std::string> metrics_without_times(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) {
    json parsed = json::parse(line, nullptr, false);
    if (parsed.is_object()) {
      parsed.erase("ms");
      parsed.erase("tokens_per_s");
      line = parsed.dump();
    }
    lines.push_back(line);
  }
  return lines;
}

// Whether a file of a resumed run may differ from the undisturbed run: metrics.jsonl has times, the lock
// depends on the process, and a resumed run may or may not have deleted an older checkpoint.
bool may_differ(const std::string& path) {
  const bool older_checkpoint = path.starts_with("run/checkpoints/step_") && !path.starts_with(kNewest);
  return path == kMetrics || path == "run/lock" || older_checkpoint;
}

}  // namespace

FastDirectory::FastDirectory()
    : TemporaryDirectory(access("/dev/shm", W_OK) == 0 ? "/dev/shm"
                                                       : std::filesystem::temp_directory_path().string()) {}

ShortRun::ShortRun() {
  write_tokens(inputs_ / "my_train.bin", 41);
  write_tokens(inputs_ / "my_val.bin", 9);
  std::vector<std::string> words;
  for (char c = 'a'; c < 'a' + kVocab; ++c) words.emplace_back(1, c);
  Tokenizer(words, kVocab - 1).write(inputs_ / "my_tokenizer.bin");
  TrainFlags flags;
  flags.given = {{"data", inputs_ / "my_train.bin"},
                 {"model", {{"layers", 1}, {"heads", 1}, {"channels", 4}}},
                 {"batch_size", 2},
                 {"seq_len", 4},
                 {"steps", 3},
                 {"precision", "f32"},
                 {"val_every", 1},
                 {"val_batches", 1},
                 {"sample_every", 3},
                 {"save_every", 1}};
  settings_ = resolve(flags);

  const FastDirectory directory;
  {
    const SystemCalls calls(directory.path());
    train(directory / "run");
    log_ = calls.log();
  }
  files_ = read_image(directory.path());
}

void ShortRun::train(const std::string& directory) const {
  const RestoreThreads restore;
  set_threads(1);
  const SmallPages pages;
  const SilentErrorStream silent;
  const bool resumes = RunDirectory::has_run(directory);
  RunDirectory run(directory);
  const TrainSettings settings =
      resumes ? resolve_resumed(run.read_config(), {}, run.file("config.json")) : settings_;
  Trainer trainer(settings, run);
  if (resumes) {
    trainer.resume([](const std::string&) {});
  } else {
    trainer.start();
  }
  run.write_config(settings);
  trainer.run([] { return false; });
}

void ShortRun::check_complete(const std::string& directory) const {
  const Image found = read_image(directory);
  for (const auto& [path, bytes] : files_) {
    if (may_differ(path)) continue;
    if (!found.contains(path)) {
      FAIL_CHECK(path << " is missing");
    } else if (found.at(path) != bytes) {
      FAIL_CHECK(path << " differs from the undisturbed run's");
    }
  }
  check_nothing_temporary(found);
  if (!found.contains(kMetrics)) {
    FAIL_CHECK(kMetrics << " is missing");
  } else {
    CHECK(metrics_without_times(found.at(kMetrics)) == metrics_without_times(files_.at(kMetrics)));
  }
}

void ShortRun::check_nothing_temporary(const Image& found) const {
  // The run deletes its first checkpoint at the end, so files_ does not have it.
  const std::string first = "run/checkpoints/step_00000001/";
  for (const auto& [path, bytes] : found) {
    const bool known = path.starts_with(first) ? files_.contains(kNewest + path.substr(first.size()))
                                               : files_.contains(path);
    if (!known) FAIL_CHECK(path << " is left over");
  }
}

std::vector<SystemCall> ShortRun::check_resumes(const Image& left) const {
  const FastDirectory directory;
  write_image(left, directory.path());
  const SystemCalls calls(directory.path());
  try {
    train(directory / "run");
  } catch (const std::exception& error) {
    FAIL_CHECK("the run cannot go on: " << error.what());
    return {};
  }
  check_complete(directory.path());
  return calls.log();
}

}  // namespace inkling::test
