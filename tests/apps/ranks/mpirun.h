// Runs the inkling binary on several ranks, with mpirun, like a user.
#pragma once

#include "core/error.h"
#include "core/ranks/ranks.h"
#include "tests/apps/process.h"

namespace inkling::test {

// Skips the test if the program was built without MPI, or if this machine has no mpirun.
inline void skip_without_mpi() {
  if (mpi_version().empty()) skip("this build has no MPI (make deps-mpi)");
  if (std::system("command -v mpirun > /dev/null") != 0) skip("this machine has no mpirun (make deps-mpi)");
}

// mpirun with `ranks` ranks of `inkling` with these arguments. After `seconds`, SIGALRM ends it.
inline Process on_mpi(int ranks, const std::vector<std::string>& arguments, unsigned seconds = 300) {
  std::vector<std::string> words = {"--allow-run-as-root", "--oversubscribe", "-n", str(ranks), binary()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return Process(words, seconds, "/dev/null", "mpirun");
}

}  // namespace inkling::test
