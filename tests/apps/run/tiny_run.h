// Training runs of a tiny model in the test's process, and helpers that read the files of a run.
#pragma once

#include <algorithm>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <string>
#include <vector>

#include "apps/run/run_directory.h"
#include "apps/run/train_settings.h"
#include "apps/run/trainer.h"
#include "apps/text/shard.h"
#include "tests/temporary_directory.h"

namespace inkling::test {

// Collects the text that is written to std::cerr during its lifetime.
class CapturedErrors {
 public:
  CapturedErrors() : before_(std::cerr.rdbuf(text_.rdbuf())) {}
  CapturedErrors(const CapturedErrors&) = delete;
  CapturedErrors& operator=(const CapturedErrors&) = delete;
  ~CapturedErrors() { std::cerr.rdbuf(before_); }

  std::string text() const { return text_.str(); }

 private:
  std::ostringstream text_;
  std::streambuf* before_;
};

// Six steps in float32 on 3,001 tokens, without validations, samples or checkpoints. `changes` are laid out
// as in config.json.
inline TrainSettings tiny_settings(const nlohmann::json& changes = nlohmann::json::object()) {
  TrainFlags flags;
  flags.given = {{"data", "tests/goldens/curve_tokens.bin"},
                 {"model", {{"vocab_size", 131}, {"layers", 1}, {"heads", 2}, {"channels", 16}}},
                 {"batch_size", 2},
                 {"seq_len", 16},
                 {"steps", 6},
                 {"lr", 0.01},
                 {"precision", "f32"},
                 {"val_every", 0},
                 {"sample_every", 0},
                 {"save_every", 0}};
  flags.given.merge_patch(changes);
  if (flags.given.contains("init")) flags.given.erase("model");  // the checkpoint has its own model
  return resolve(flags);
}

inline bool never() {
  return false;
}

// A run directory and its trainer. The destructor releases the directory's lock.
struct TinyRun {
  CapturedErrors errors;  // captures the progress of the run
  RunDirectory directory;
  Trainer trainer;

  TinyRun(const std::string& path, const TrainSettings& settings)
      : directory(path), trainer(settings, directory) {}

  TinyRun& start(const TrainSettings& settings) {
    trainer.start();
    directory.write_config(settings);
    return *this;
  }
  // Returns the messages for the user.
  std::string resume() {
    std::string said;
    trainer.resume([&](const std::string& line) { said += line + "\n"; });
    return said;
  }
};

// Starts a run and trains it to its last step.
inline void train_whole(const std::string& path, const TrainSettings& settings) {
  TinyRun run(path, settings);
  run.start(settings).trainer.run(never);
}

// The lines of metrics.jsonl without their times and speeds.
inline std::vector<nlohmann::json> timeless_metrics(const std::string& run) {
  std::vector<nlohmann::json> lines;
  std::ifstream file(run + "/metrics.jsonl");
  for (std::string line; std::getline(file, line);) {
    lines.push_back(nlohmann::json::parse(line));
    lines.back().erase("ms");
    lines.back().erase("tokens_per_s");
  }
  return lines;
}

// Checks that these files of two run directories are equal, and their metrics, except for times.
inline void check_same_files(const std::string& got, const std::string& want,
                             const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    INFO(file);
    const std::string bytes = read_text(want + "/" + file);
    CHECK_FALSE(bytes.empty());
    CHECK((read_text(got + "/" + file) == bytes));
  }
  CHECK(timeless_metrics(got) == timeless_metrics(want));
}

// The names in a directory, sorted.
inline std::vector<std::string> names_in(const std::string& directory) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

inline void write_shard(const std::string& path, std::span<const std::int32_t> ids, std::int64_t vocab_size) {
  ShardWriter writer(path, vocab_size);
  writer.append(ids);
  writer.commit();
}

}  // namespace inkling::test
