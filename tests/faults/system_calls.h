// Watches the system calls that change files, and makes a chosen one fail.
//
// The test binary defines open, write, fsync, rename and the others itself (system_calls.cc). The program and
// the C++ library then call these definitions instead of the C library's. While a SystemCalls object lives,
// every call on a path inside its directory is written to a log, and the call that a Fault names fails. All
// other calls go straight to the kernel. The calls must come from one thread.
//
// fsync inside the directory only goes into the log: what a power cut leaves is worked out from the log
// (disk.h), and a real fsync would take most of the tests' time.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace inkling::test {

struct SystemCall {
  enum class Kind { open, write, truncate, sync, close, rename, make_directory, remove };

  Kind kind = Kind::open;
  std::string function;      // as the program called it, such as "pwrite"
  std::string path;          // relative to the watched directory, which is "."
  std::string new_path;      // of a rename
  std::string bytes;         // of a write: the bytes that were written
  std::int64_t offset = 0;   // of a write: their place in the file; of a truncate: the new size
  std::int64_t open_id = 0;  // numbers what open() returned; the calls on it carry the same number
  int flags = 0;             // of an open, and of the calls on what it returned
  int error = 0;             // errno of a call that failed, or 0

  bool for_writing() const;         // it opens a file for writing, or belongs to such a file
  std::string description() const;  // "rename run/config.json.tmp-x -> run/config.json"
};

struct Fault {
  std::int64_t call = 0;  // an index into the log
  int error = 0;          // the call fails with this errno; 0: a write that writes half of its bytes
  bool lasting = false;   // from this call on, every call that takes space on the disk fails
};

class SystemCalls {
 public:
  explicit SystemCalls(std::string directory, std::optional<Fault> fault = std::nullopt);
  ~SystemCalls();
  SystemCalls(const SystemCalls&) = delete;
  SystemCalls& operator=(const SystemCalls&) = delete;

  const std::vector<SystemCall>& log() const { return log_; }
  // The call that the fault hit; null if the program ended before it.
  const SystemCall* faulty_call() const;

  // For the definitions in system_calls.cc. `path` may be outside of the directory, `fd` may be anybody's.
  long on_path(SystemCall::Kind kind, const char* function, int directory_fd, const char* path,
               const char* new_path, int flags, unsigned mode);
  long on_file(SystemCall::Kind kind, const char* function, int fd, const void* bytes, std::size_t count,
               std::int64_t offset);

 private:
  struct OpenFile {
    std::int64_t id;
    std::string path;
    int flags;
  };
  std::optional<std::string> inside(int directory_fd, const char* path) const;
  bool fails(const SystemCall& call) const;
  long finish(SystemCall call, long result);

  std::string directory_;
  std::optional<Fault> fault_;
  std::vector<SystemCall> log_;
  std::map<int, OpenFile> open_;
  std::int64_t next_id_ = 1;
};

}  // namespace inkling::test
