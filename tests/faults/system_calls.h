// Records the system calls that change files, and lets a chosen call fail.
//
// The test binary defines open, write, fsync, rename and the others itself (system_calls.cc). The program and
// the C++ library then call these definitions instead of the C library's. While a SystemCalls object lives,
// every call on a path inside its directory is written to a log, and the call that a Fault names fails. All
// other calls go straight to the kernel. The calls must come from one thread.
//
// An fsync inside the directory only goes into the log. Disk (disk.h) computes from the log what a power cut
// leaves, and a real fsync would take most of the tests' time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace inkling::test {

// Sets a function that is called before each call on a path, with the name of the called function and its
// first path. Threads may make such calls, so set it once, before there are other threads.
void before_each_path_call(std::function<void(const std::string& function, const std::string& path)> act);

struct SystemCall {
  enum class Kind { open, write, truncate, sync, close, rename, make_directory, remove };

  Kind kind = Kind::open;
  std::string function;      // the name of the called function, such as "pwrite"
  std::string path;          // relative to the watched directory, whose own path is "."
  std::string new_path;      // for a rename: the new path
  std::string bytes;         // for a write: the bytes that were written
  std::int64_t offset = 0;   // for a write: the position of the bytes; for a truncate: the new size
  std::int64_t open_id = 0;  // the same number for an open and for all calls on the opened file
  int flags = 0;             // the flags of the open, also for all calls on the opened file
  int error = 0;             // errno of a failed call, otherwise 0

  bool for_writing() const;         // it opens a file for writing, or is a call on such a file
  std::string description() const;  // such as "rename run/config.json.tmp-x -> run/config.json"
};

struct Fault {
  std::int64_t call = 0;  // an index into the log
  int error = 0;          // the call fails with this errno; 0 means that a write writes half of its bytes
  bool lasting = false;   // all later calls that need space on the disk fail, too
};

class SystemCalls {
 public:
  explicit SystemCalls(std::string directory, std::optional<Fault> fault = std::nullopt);
  ~SystemCalls();
  SystemCalls(const SystemCalls&) = delete;
  SystemCalls& operator=(const SystemCalls&) = delete;

  // Calls `act` before the next open of `path`, which is relative to the directory: another process acts at
  // this moment.
  void before_open(std::string path, std::function<void()> act) {
    before_open_ = {std::move(path), std::move(act)};
  }

  const std::vector<SystemCall>& log() const { return log_; }
  // The call that failed because of the fault; null if the program ended before this call.
  const SystemCall* faulty_call() const;

  // Called by the definitions in system_calls.cc. `path` may be outside of the directory, and `fd` may be any
  // file.
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
  std::pair<std::string, std::function<void()>> before_open_;
  std::vector<SystemCall> log_;
  std::map<int, OpenFile> open_;
  std::int64_t next_id_ = 1;
};

}  // namespace inkling::test
