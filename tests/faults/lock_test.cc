// The lock of a run directory on file systems that cannot lock files. This file defines flock itself, so that
// the test program's calls of flock can fail.
#include <errno.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "apps/run/run_directory.h"
#include "core/error.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace {

int flock_error = 0;  // errno of every call; 0: the call works

}  // namespace

extern "C" int flock(int fd, int operation) noexcept {
  if (flock_error == 0) return static_cast<int>(syscall(SYS_flock, fd, operation));
  errno = flock_error;
  return -1;
}

namespace inkling {
namespace {

struct FlockFails {
  explicit FlockFails(int error) { flock_error = error; }
  FlockFails(const FlockFails&) = delete;
  FlockFails& operator=(const FlockFails&) = delete;
  ~FlockFails() { flock_error = 0; }
};

TEST_CASE("lock: on a file system that cannot lock files, a run goes on with a warning") {
  for (const int error : {ENOLCK, EOPNOTSUPP, ENOSYS, EINVAL}) {
    const test::TemporaryDirectory temporary;
    const FlockFails fails(error);
    const RunDirectory run(temporary / "run");
    CHECK_THAT(run.warning(), test::contains("run/lock: this file system cannot lock files (") &&
                                  test::contains(std::strerror(error)));
    run.append_metrics({{"step", 1}, {"loss", 0.5}});
    run.write_config({{"steps", 7}});  // an AtomicFile, which locks its temporary file
    CHECK(run.read_metrics().size() == 1);
    CHECK(run.read_config() == nlohmann::json{{"steps", 7}});
  }
}

TEST_CASE("lock: only EWOULDBLOCK means that another run holds the lock") {
  const test::TemporaryDirectory temporary;
  CHECK(RunDirectory(temporary / "run").warning().empty());
  const FlockFails fails(EWOULDBLOCK);
  CHECK_THROWS_WITH(RunDirectory(temporary / "run"), test::contains("is using this directory"));
}

}  // namespace
}  // namespace inkling
