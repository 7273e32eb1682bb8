// A training run of a few milliseconds that writes everything a run can write, and what must be true of it
// after a fault.
#pragma once

#include <string>
#include <vector>

#include "apps/run/train_settings.h"
#include "tests/faults/disk.h"
#include "tests/faults/system_calls.h"
#include "tests/temporary_directory.h"

namespace inkling::test {

// A directory for tests that make thousands of small files: in memory, where the machine has that.
class FastDirectory : public TemporaryDirectory {
 public:
  FastDirectory();
};

// Three steps on tokens of its own, with a checkpoint and a validation after each step, so that one
// checkpoint is pruned, and with text written at the end.
class ShortRun {
 public:
  ShortRun();

  // What `inkling train` does: starts a run in `directory`, or resumes the run that is there.
  void train(const std::string& directory) const;

  // The files of the run when nothing disturbs it, and the calls that wrote them. Paths begin with "run/".
  const Image& files() const { return files_; }
  const std::vector<SystemCall>& log() const { return log_; }

  // Checks a finished run in `directory`/run against the undisturbed one: the same files with the same bytes,
  // metrics with every step once, no temporary file.
  void check_complete(const std::string& directory) const;

  // Checks that the files of a run, finished or not, are no others than those of the undisturbed one.
  void check_nothing_temporary(const Image& found) const;

  // Puts the files that a fault left into a directory, trains there, and checks the finished run. Returns the
  // calls that were made.
  std::vector<SystemCall> check_resumes(const Image& left) const;

 private:
  TemporaryDirectory inputs_;
  TrainSettings settings_;
  Image files_;
  std::vector<SystemCall> log_;
};

}  // namespace inkling::test
