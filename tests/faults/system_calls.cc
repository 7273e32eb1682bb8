#include "tests/faults/system_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "core/error.h"

namespace inkling::test {

namespace fs = std::filesystem;
using Kind = SystemCall::Kind;

namespace {

SystemCalls* watching = nullptr;
std::function<void(const std::string&, const std::string&)> before_path_call;

std::string path_of(int fd) {
  char path[4096];
  const std::string link = str("/proc/self/fd/", fd);
  const ssize_t length = readlink(link.c_str(), path, sizeof path);
  return {path, length > 0 ? static_cast<std::size_t>(length) : 0};
}

// Calls the kernel directly. The functions of the C library or of a sanitizer are not used.
long kernel_on_path(Kind kind, int directory_fd, const char* path, const char* new_path, int flags,
                    unsigned mode) {
  switch (kind) {
    case Kind::open:
      return syscall(SYS_openat, directory_fd, path, flags, mode);
    case Kind::rename:
      return syscall(SYS_renameat, directory_fd, path, directory_fd, new_path);
    case Kind::make_directory:
      return syscall(SYS_mkdirat, directory_fd, path, mode);
    default:
      return syscall(SYS_unlinkat, directory_fd, path, flags);
  }
}

long kernel_on_file(Kind kind, int fd, const void* bytes, std::size_t count, std::int64_t offset) {
  switch (kind) {
    case Kind::write:
      return offset < 0 ? syscall(SYS_write, fd, bytes, count)
                        : syscall(SYS_pwrite64, fd, bytes, count, offset);
    case Kind::truncate:
      return syscall(SYS_ftruncate, fd, offset);
    case Kind::sync:
      return syscall(SYS_fsync, fd);
    default:
      return syscall(SYS_close, fd);
  }
}

}  // namespace

void before_each_path_call(std::function<void(const std::string&, const std::string&)> act) {
  before_path_call = std::move(act);
}

bool SystemCall::for_writing() const {
  return (flags & O_ACCMODE) != O_RDONLY;
}

std::string SystemCall::description() const {
  return str(function, " ", path, new_path.empty() ? "" : " -> ", new_path);
}

SystemCalls::SystemCalls(std::string directory, std::optional<Fault> fault)
    : directory_(std::move(directory)), fault_(fault) {
  if (watching != nullptr) fail("SystemCalls: two objects at once, expected one");
  watching = this;
}

SystemCalls::~SystemCalls() {
  watching = nullptr;
}

const SystemCall* SystemCalls::faulty_call() const {
  if (!fault_ || std::ssize(log_) <= fault_->call) return nullptr;
  return &log_[static_cast<std::size_t>(fault_->call)];
}

// The path relative to the watched directory; nothing if it is outside of this directory.
std::optional<std::string> SystemCalls::inside(int directory_fd, const char* path) const {
  fs::path base;
  if (path[0] != '/') base = directory_fd == AT_FDCWD ? fs::current_path() : fs::path(path_of(directory_fd));
  std::string whole = (base / path).lexically_normal().string();
  while (whole.size() > 1 && whole.ends_with('/')) whole.pop_back();
  if (whole == directory_) return ".";
  if (!whole.starts_with(directory_ + "/")) return std::nullopt;
  return whole.substr(directory_.size() + 1);
}

bool SystemCalls::fails(const SystemCall& call) const {
  if (!fault_) return false;
  const std::int64_t index = std::ssize(log_);
  if (index == fault_->call) return true;
  const bool takes_space = call.kind == Kind::write || call.kind == Kind::sync ||
                           call.kind == Kind::make_directory ||
                           (call.kind == Kind::open && (call.flags & O_CREAT) != 0);
  return fault_->lasting && index > fault_->call && takes_space;
}

long SystemCalls::finish(SystemCall call, long result) {
  const int error = result < 0 ? errno : 0;
  call.error = error;
  log_.push_back(std::move(call));
  errno = error;
  return result;
}

long SystemCalls::on_path(Kind kind, const char* function, int directory_fd, const char* path,
                          const char* new_path, int flags, unsigned mode) {
  const auto name = inside(directory_fd, path);
  if (!name) {
    const long result = kernel_on_path(kind, directory_fd, path, new_path, flags, mode);
    if (kind == Kind::open)
      open_.erase(static_cast<int>(result));  // a watched file may have had this number before
    return result;
  }
  if (kind == Kind::open && *name == before_open_.first && before_open_.second)
    std::exchange(before_open_.second, nullptr)();
  SystemCall call;
  call.kind = kind;
  call.function = function;
  call.path = *name;
  if (new_path != nullptr) call.new_path = inside(directory_fd, new_path).value_or("outside");
  if (kind == Kind::open) call.flags = flags;
  if (fails(call)) {
    errno = fault_->error;
    return finish(call, -1);
  }
  const long result = kernel_on_path(kind, directory_fd, path, new_path, flags, mode);
  if (kind == Kind::open && result >= 0) {
    call.open_id = next_id_++;
    open_[static_cast<int>(result)] = {call.open_id, *name, flags};
  }
  return finish(call, result);
}

long SystemCalls::on_file(Kind kind, const char* function, int fd, const void* bytes, std::size_t count,
                          std::int64_t offset) {
  const auto found = open_.find(fd);
  if (found == open_.end()) return kernel_on_file(kind, fd, bytes, count, offset);
  SystemCall call;
  call.kind = kind;
  call.function = function;
  call.path = found->second.path;
  call.open_id = found->second.id;
  call.flags = found->second.flags;
  call.offset = offset;
  const bool faulty = fails(call);
  if (kind == Kind::close) {  // close() closes the file even if it fails
    open_.erase(found);
    kernel_on_file(kind, fd, nullptr, 0, 0);
  }
  if (faulty && fault_->error != 0) {
    errno = fault_->error;
    return finish(call, -1);
  }
  if (kind == Kind::close || kind == Kind::sync) return finish(call, 0);
  if (faulty) count = (count + 1) / 2;
  const long result = kernel_on_file(kind, fd, bytes, count, offset);
  if (kind == Kind::write && result >= 0) {
    call.bytes.assign(static_cast<const char*>(bytes), static_cast<std::size_t>(result));
    if (offset < 0) call.offset = lseek(fd, 0, SEEK_CUR) - result;
  }
  return finish(call, result);
}

namespace {

long on_path(Kind kind, const char* function, int directory_fd, const char* path,
             const char* new_path = nullptr, int flags = 0, unsigned mode = 0) {
  if (before_path_call) before_path_call(function, path);
  if (watching == nullptr) return kernel_on_path(kind, directory_fd, path, new_path, flags, mode);
  return watching->on_path(kind, function, directory_fd, path, new_path, flags, mode);
}

long on_file(Kind kind, const char* function, int fd, const void* bytes = nullptr, std::size_t count = 0,
             std::int64_t offset = -1) {
  if (watching == nullptr) return kernel_on_file(kind, fd, bytes, count, offset);
  return watching->on_file(kind, function, fd, bytes, count, offset);
}

}  // namespace

}  // namespace inkling::test

// The definitions below have the names of the C library, with the same noexcept and attributes as its
// declarations. <stdio.h> declares remove and rename.
using inkling::test::on_file;
using inkling::test::on_path;
using Kind = inkling::test::SystemCall::Kind;

namespace {

unsigned mode_of(int flags, va_list rest) {
  return (flags & O_CREAT) != 0 ? va_arg(rest, unsigned) : 0;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const unsigned mode = mode_of(flags, rest);
  va_end(rest);
  return static_cast<int>(on_path(Kind::open, "open", AT_FDCWD, path, nullptr, flags, mode));
}

int openat(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const unsigned mode = mode_of(flags, rest);
  va_end(rest);
  return static_cast<int>(on_path(Kind::open, "openat", directory, path, nullptr, flags, mode));
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const unsigned mode = mode_of(flags, rest);
  va_end(rest);
  return static_cast<int>(on_path(Kind::open, "open64", AT_FDCWD, path, nullptr, flags, mode));
}

ssize_t write(int fd, const void* bytes, size_t count) {
  return on_file(Kind::write, "write", fd, bytes, count);
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  return on_file(Kind::write, "pwrite", fd, bytes, count, offset);
}

ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  return on_file(Kind::write, "pwrite64", fd, bytes, count, offset);
}

int ftruncate(int fd, off_t size) noexcept {
  return static_cast<int>(on_file(Kind::truncate, "ftruncate", fd, nullptr, 0, size));
}

int ftruncate64(int fd, off64_t size) noexcept {
  return static_cast<int>(on_file(Kind::truncate, "ftruncate64", fd, nullptr, 0, size));
}

int fsync(int fd) {
  return static_cast<int>(on_file(Kind::sync, "fsync", fd));
}

int fdatasync(int fd) {
  return static_cast<int>(on_file(Kind::sync, "fdatasync", fd));
}

int close(int fd) {
  return static_cast<int>(on_file(Kind::close, "close", fd));
}

int rename(const char* from, const char* to) noexcept {
  return static_cast<int>(on_path(Kind::rename, "rename", AT_FDCWD, from, to));
}

int mkdir(const char* path, mode_t mode) noexcept {
  return static_cast<int>(on_path(Kind::make_directory, "mkdir", AT_FDCWD, path, nullptr, 0, mode));
}

int unlink(const char* path) noexcept {
  return static_cast<int>(on_path(Kind::remove, "unlink", AT_FDCWD, path));
}

int rmdir(const char* path) noexcept {
  return static_cast<int>(on_path(Kind::remove, "rmdir", AT_FDCWD, path, nullptr, AT_REMOVEDIR));
}

int unlinkat(int directory, const char* path, int flags) noexcept {
  return static_cast<int>(on_path(Kind::remove, "unlinkat", directory, path, nullptr, flags));
}

// The C library's remove() calls its internal unlink and rmdir and not the definitions above, so remove()
// needs a definition, too.
int remove(const char* path) noexcept {
  const int status = unlink(path);
  return status != 0 && errno == EISDIR ? rmdir(path) : status;
}

}  // extern "C"
