// RunDirectory: the directory of a run. This file explains its files, how they survive a crash, and the lock
// against a second run.
//
//   config.json                        the settings
//   report.html, session.json          the page of the run, and its newest training (apps/report)
//   metrics.jsonl                      one line for each step, and one for each validation
//   samples/step_00000500.txt          a text that the model wrote after step 500
//   checkpoints/step_00000500/         model.bin (llm.c's format), optimizer.bin, state.json, manifest.json
//   model.bin, tokenizer.bin           the trained model and its tokenizer
//   data/                              the token shards, if the run generated them (the stories)
//   lock                               locked (flock) while a run is active; kill -9 releases it too
//
// A checkpoint is written into a hidden directory, which is renamed when all its files are on disk.
// manifest.json lists the files' sizes and checksums (XXH3, 64 bits). A run resumes from the newest
// checkpoint whose files match its manifest. The two newest checkpoints are kept. On resume, the lines of
// metrics.jsonl for later steps are removed. Damaged checkpoints that the resumed run skipped are deleted
// when it has saved its next checkpoint. So metrics.jsonl has the same lines after an interrupted and resumed
// run as after a run without interruptions, except for the times in the lines.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/run/strict_json.h"  // reads the JSON files that write_json writes
#include "core/binary_file.h"

namespace inkling {

class RunDirectory {
 public:
  // Creates the directory `path` if needed and takes its lock. Changes no other file. Error if another run
  // holds the lock, or if the directory cannot be written.
  explicit RunDirectory(const std::string& path);
  ~RunDirectory();
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  // A warning for the user if this file system cannot lock files; empty if the directory is locked.
  const std::string& warning() const { return warning_; }

  std::string file(const std::string& name) const { return path_ + "/" + name; }

  // Returns whether the directory `path` has a run, or a part of a run: settings, metrics or checkpoints.
  static bool has_run(const std::string& path);
  bool has_run() const { return has_run(path_); }
  // Removes the files that a killed run did not finish writing. Call it only when the run in this directory
  // starts or continues: a run that is refused changes nothing.
  void remove_unfinished() const;
  nlohmann::json read_config() const;
  void write_config(const nlohmann::json& config) const;

  // Appends a JSON object to metrics.jsonl as one line. The line is in the file when the call returns, and on
  // disk after sync_metrics().
  void append_metrics(const nlohmann::json& line) const;
  void sync_metrics() const;
  std::vector<nlohmann::json> read_metrics() const;
  void drop_metrics_after(std::int64_t step) const;

  void write_sample(std::int64_t step, const std::string& text) const;

  // Saves a checkpoint. Calls write(directory), which commits the checkpoint's files into a hidden directory
  // (with FolderSync::by_caller: the directory is synced here). Then adds the manifest and makes the
  // checkpoint visible at once, by renaming the directory. Afterwards deletes older checkpoints, except for
  // the newest of them, and checkpoints that newest_checkpoint() skipped, if they are still damaged.
  void commit_checkpoint(std::int64_t step, const std::function<void(const std::string& directory)>& write);
  // Returns the newest complete and undamaged checkpoint: its step and directory. Calls `report` with a
  // message for every newer checkpoint, because all newer checkpoints are damaged. Returns nothing if the run
  // has no checkpoints. Error, which describes all damage, if every checkpoint is damaged.
  struct Checkpoint {
    std::int64_t step;
    std::string directory;
  };
  std::optional<Checkpoint> newest_checkpoint(const std::function<void(const std::string&)>& report);
  // The directory of the newest checkpoint that newest_checkpoint() did not skip; empty: there is none.
  std::string last_checkpoint() const;

 private:
  void delete_old_checkpoints(std::int64_t newest);

  std::string path_;
  std::vector<Checkpoint> skipped_;  // by newest_checkpoint(), because they are damaged or cannot be read
  int lock_ = -1;
  std::string warning_;
};

void write_json(const std::string& path, const nlohmann::json& json, FolderSync folder = FolderSync::now);

}  // namespace inkling
