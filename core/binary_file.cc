#include "core/binary_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cassert>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "core/error.h"
#include "core/mapped_files.h"

namespace inkling {

static_assert(std::endian::native == std::endian::little,
              "the file formats are little-endian, so the machine must be little-endian too");

namespace {

std::string system_error() {
  return std::strerror(errno);
}

struct FileDescriptor {
  int fd;
  ~FileDescriptor() {
    if (fd >= 0) close(fd);
  }
};

int open_file(const std::string& path, int flags) {
  return uninterrupted([&] { return open(path.c_str(), flags | O_CLOEXEC, 0644); });
}

// After EINTR, close is not called again: Linux has closed the file already.
bool close_file(int fd) {
  return close(fd) == 0 || errno == EINTR;
}

// Writes all bytes to a file: calls write(next, count), which returns the number of bytes written, until no
// bytes are left. `where` is a part of the error message.
template <class Write>
void write_all(const std::string& path, const void* data, std::int64_t count_bytes, const std::string& where,
               Write write) {
  const char* next = static_cast<const char*>(data);
  while (count_bytes > 0) {
    constexpr std::int64_t kMostAtOnce = std::int64_t{1} << 30;  // write(2) writes at most 2 GiB
    const auto count = static_cast<std::size_t>(std::min(count_bytes, kMostAtOnce));
    const ssize_t written = uninterrupted([&] { return write(next, count); });
    if (written < 0) fail(path, ": cannot write ", count_bytes, " bytes", where, ": ", system_error());
    next += written;
    count_bytes -= written;
  }
}

}  // namespace

FileView::FileView(const std::string& path) : path_(path) {
  if (path.empty()) fail("the path of a file is empty, expected the path of an existing file");
  // O_NONBLOCK: opening a pipe must not wait for its writer.
  const FileDescriptor file{open_file(path, O_RDONLY | O_NONBLOCK)};
  if (file.fd < 0) fail(path, ": cannot open: ", system_error());
  struct stat info = {};
  if (fstat(file.fd, &info) != 0) fail(path, ": cannot stat: ", system_error());
  if (S_ISDIR(info.st_mode)) fail(path, ": is a directory, expected a file");
  if (!S_ISREG(info.st_mode)) fail(path, ": is a device, pipe or socket, expected a regular file");
  if (info.st_size == 0) fail(path, ": is empty, expected at least one byte");
  const auto size = static_cast<std::size_t>(info.st_size);
  void* p = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (p == MAP_FAILED) fail(path, ": cannot map ", size, " bytes: ", system_error());
  bytes_ = {static_cast<const std::byte*>(p), size};
  remember_mapping(bytes_, path);
}

FileView::~FileView() {
  if (bytes_.empty()) return;
  forget_mapping(bytes_);
  munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

FileView::FileView(FileView&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

FileView& FileView::operator=(FileView&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void FileView::release(std::span<const std::byte> part) const {
  assert(part.data() >= bytes_.data() && part.data() + part.size() <= bytes_.data() + bytes_.size());
  // The system frees whole pages. The mapping starts at the start of a page.
  static const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const auto begin = static_cast<std::size_t>(part.data() - bytes_.data()) / page * page;
  const auto end = static_cast<std::size_t>(part.data() + part.size() - bytes_.data());
  // The result does not matter: if the system refuses, the memory stays in use until the view is destroyed.
  madvise(const_cast<std::byte*>(bytes_.data()) + begin, end - begin, MADV_DONTNEED);
}

std::span<const std::byte> ByteReader::take(std::int64_t count, std::string_view what) {
  if (count < 0 || count > remaining_bytes()) {
    fail_here(str("truncated: ", what, " needs ", count, " bytes, got ", remaining_bytes()));
  }
  const auto taken = bytes_.subspan(static_cast<std::size_t>(offset_), static_cast<std::size_t>(count));
  offset_ += count;
  return taken;
}

void ByteReader::expect_end(std::string_view what) const {
  if (remaining_bytes() != 0) {
    fail_here(str(what, " ends at this byte, but ", remaining_bytes(), " more bytes follow: file size is ",
                  size_bytes(), ", expected ", offset_));
  }
}

void ByteReader::fail_here(const std::string& message) const {
  fail(path_, ": ", message, " (at byte ", offset_, ")");
}

namespace {

constexpr std::string_view kTemporary = ".tmp-inkling";

// Locks an open temporary file. Returns false if a running process holds the lock, or if another file has the
// name `path` now because the writer has just committed this file.
bool lock_temporary(int fd, const std::string& path) {
  struct stat opened = {}, named = {};
  if (uninterrupted([&] { return flock(fd, LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK) return false;
  return fstat(fd, &opened) == 0 && stat(path.c_str(), &named) == 0 && opened.st_ino == named.st_ino;
}

}  // namespace

void remove_unfinished(const std::string& directory) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory, none)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(kTemporary)) continue;
    const FileDescriptor file{open_file(path, O_WRONLY)};
    if (file.fd >= 0 && lock_temporary(file.fd, path)) unlink(path.c_str());
  }
}

AtomicFile::AtomicFile(const std::string& path) : path_(path), temporary_(str(path, kTemporary)) {
  std::error_code none;
  if (std::filesystem::exists(path, none) && !std::filesystem::is_regular_file(path, none)) {
    fail(path_, ": cannot write: this path is not a regular file, expected a regular file or no file");
  }
  fd_ = open_file(temporary_, O_WRONLY | O_CREAT);
  if (fd_ < 0) fail(path_, ": cannot write: ", system_error());
  if (!lock_temporary(fd_, temporary_)) {
    close(std::exchange(fd_, -1));
    fail(path_, ": cannot write: another process is writing this file");
  }
  // A killed process may have left this temporary file with bytes in it.
  if (uninterrupted([&] { return ftruncate(fd_, 0); }) != 0) {
    const std::string why = system_error();
    discard();
    fail(path_, ": cannot write: ", why);
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) discard();
}

// Removes the temporary file while its lock is held. So no other writer can have started to use the file.
void AtomicFile::discard() {
  unlink(temporary_.c_str());
  close(std::exchange(fd_, -1));
}

void AtomicFile::write(const void* data, std::int64_t count_bytes) {
  write_all(path_, data, count_bytes, "",
            [this](const char* next, std::size_t count) { return ::write(fd_, next, count); });
}

void AtomicFile::write_at(std::int64_t offset, const void* data, std::int64_t count_bytes) {
  write_all(path_, data, count_bytes, str(" at byte ", offset), [&](const char* next, std::size_t count) {
    return pwrite(fd_, next, count, offset + (next - static_cast<const char*>(data)));
  });
}

// commit() holds the lock until the temporary name is gone. Otherwise another writer could mistake the
// finished file for the temporary file of a killed process.
void AtomicFile::commit(FolderSync folder) {
  if (uninterrupted([&] { return fsync(fd_); }) != 0) fail(path_, ": cannot write to disk: ", system_error());
  if (rename(temporary_.c_str(), path_.c_str()) != 0) {
    const std::string why = system_error();
    discard();
    fail(path_, ": cannot put the finished file in place (rename from ", temporary_, "): ", why);
  }
  if (!close_file(std::exchange(fd_, -1))) fail(path_, ": cannot close the finished file: ", system_error());
  if (folder == FolderSync::now) sync_to_disk(std::filesystem::path(path_).parent_path().string());
}

void append_to_file(const std::string& path, std::string_view text) {
  FileDescriptor file{open_file(path, O_WRONLY | O_CREAT | O_APPEND)};
  if (file.fd < 0) fail(path, ": cannot append: ", system_error());
  write_all(path, text.data(), std::ssize(text), "",
            [&](const char* next, std::size_t count) { return ::write(file.fd, next, count); });
  if (!close_file(std::exchange(file.fd, -1))) fail(path, ": cannot close: ", system_error());
}

void sync_to_disk(const std::string& path) {
  const std::string name = path.empty() ? "." : path;
  const FileDescriptor file{open_file(name, O_RDONLY)};
  if (file.fd < 0 || uninterrupted([&] { return fsync(file.fd); }) != 0) {
    fail(name, ": cannot sync to disk: ", system_error());
  }
}

}  // namespace inkling
