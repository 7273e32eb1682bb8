// Runs the inkling binary on several ranks, with mpirun, like a user.
#pragma once

#include <sstream>

#include "core/error.h"
#include "core/ranks/ranks.h"
#include "tests/apps/process.h"

namespace inkling::test {

// Skips the test if the program was built without MPI, or if this machine has no mpirun.
inline void skip_without_mpi() {
  if (mpi_version().empty()) skip("this build has no MPI (make deps-mpi)");
  if (std::system("command -v mpirun > /dev/null") != 0) skip("this machine has no mpirun (make deps-mpi)");
}

// mpirun with `ranks` ranks of `program` with these arguments. After `seconds`, SIGALRM ends it.
inline Process on_mpi(int ranks, const std::vector<std::string>& arguments, unsigned seconds = 300,
                      const std::string& program = binary()) {
  std::vector<std::string> words = {"--allow-run-as-root", "--oversubscribe", "-n", str(ranks), program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return Process(words, seconds, "/dev/null", "mpirun");
}

inline std::int64_t count(const std::string& text, const std::string& part) {
  std::int64_t found = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// The processes that mpirun has started.
inline std::vector<pid_t> ranks_of(const Process& mpirun) {
  const std::string file = str("/proc/", mpirun.pid(), "/task/", mpirun.pid(), "/children");
  std::istringstream children(read_text(file));
  std::vector<pid_t> pids;
  for (pid_t pid = 0; children >> pid;) pids.push_back(pid);
  return pids;
}

}  // namespace inkling::test
