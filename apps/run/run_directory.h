// The directory of a run: what is in it, how it survives a crash, and how two runs keep apart.
//
//   config.json                        the settings
//   metrics.jsonl                      a line a step, and one a validation
//   samples/step_00000500.txt          text the model wrote
//   checkpoints/step_00000500/         model.bin (llm.c's format), optimizer.bin, state.json, manifest.json
//   model.bin, tokenizer.bin           the result
//   data/                              the token shards, where the run made them itself
//   lock                               held (flock) while a run lives, and let go of even after kill -9
//
// A checkpoint is written as a hidden directory and renamed when every file is on disk; manifest.json lists
// sizes and checksums (XXH3, 64 bits). The newest one whose manifest is true is the one to resume from; the
// two newest are kept. Lines of metrics.jsonl past it are dropped on resume, so an interrupted and resumed
// run leaves the same lines as one that was not interrupted, but for the times in them.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/run/strict_json.h"  // reads the files that write_json writes

namespace inkling {

class RunDirectory {
 public:
  // Creates `path` if needed, takes its lock and removes files that a killed run was still writing. Error if
  // another run holds it, or the directory cannot be written.
  explicit RunDirectory(const std::string& path);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  std::string file(const std::string& name) const { return path_ + "/" + name; }

  // Somebody's run is in `path`, or what a broken one left.
  static bool has_run(const std::string& path);
  bool has_run() const { return has_run(path_); }
  nlohmann::json read_config() const;
  void write_config(const nlohmann::json& config) const;

  // One object, one line, in the file when the call returns, and on disk after sync_metrics().
  void append_metrics(const nlohmann::json& line) const;
  void sync_metrics() const;
  std::vector<nlohmann::json> read_metrics() const;
  void drop_metrics_after(std::int64_t step) const;

  void write_sample(std::int64_t step, const std::string& text) const;

  // Calls write(directory) to put the files of a checkpoint into a directory, then makes it whole and visible
  // at once.
  void commit_checkpoint(std::int64_t step,
                         const std::function<void(const std::string& directory)>& write) const;
  // The newest checkpoint that is complete and unharmed: its step and directory. `report` hears of every one
  // that is not.
  struct Checkpoint {
    std::int64_t step;
    std::string directory;
  };
  std::optional<Checkpoint> newest_checkpoint(const std::function<void(const std::string&)>& report) const;

 private:
  std::string path_;
  int lock_ = -1;
};

void write_json(const std::string& path, const nlohmann::json& json);

}  // namespace inkling
