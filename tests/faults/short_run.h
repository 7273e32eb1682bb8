// A training run of a few milliseconds that writes every kind of file that a run can write, and the checks
// that must hold after a fault.
#pragma once

#include <string>
#include <vector>

#include "apps/run/train_settings.h"
#include "tests/faults/disk.h"
#include "tests/faults/system_calls.h"
#include "tests/temporary_directory.h"

namespace inkling::test {

// A directory for tests that write thousands of small files. It is in memory if the machine has /dev/shm.
class FastDirectory : public TemporaryDirectory {
 public:
  FastDirectory();
};

// A run of three steps on its own tokens. It writes a checkpoint and validates after each step, deletes its
// first checkpoint, and generates a text at the end.
class ShortRun {
 public:
  ShortRun();

  // Does the same as `inkling train`: starts a run in `directory`, or resumes the run that is already there.
  void train(const std::string& directory) const;

  // The files of the undisturbed run, and the system calls that wrote them. Paths begin with "run/".
  const Image& files() const { return files_; }
  const std::vector<SystemCall>& log() const { return log_; }

  // Checks that a finished run in `directory`/run equals the undisturbed run: the same files with the same
  // bytes, every step once in the metrics, and no temporary file.
  void check_complete(const std::string& directory) const;

  // Checks that a run, finished or not, has only files that the undisturbed run has, too.
  void check_nothing_temporary(const Image& found) const;

  // Writes the files that a fault left into a directory, resumes the run there, and checks the finished run.
  // Returns the system calls of the resumed run.
  std::vector<SystemCall> check_resumes(const Image& left) const;

 private:
  TemporaryDirectory inputs_;
  TrainSettings settings_;
  Image files_;
  std::vector<SystemCall> log_;
};

}  // namespace inkling::test
