#include "core/binary_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <utility>

#include "core/error.h"

namespace inkling {

static_assert(std::endian::native == std::endian::little,
              "the file formats are little-endian, and so must the machine be");

namespace {

std::string system_error() {
  return std::strerror(errno);
}

std::uint32_t byte_swapped(std::uint32_t x) {
  return (x >> 24) | ((x >> 8) & 0xff00u) | ((x << 8) & 0xff0000u) | (x << 24);
}

struct FileDescriptor {
  int fd;
  ~FileDescriptor() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

FileView::FileView(const std::string& path) : path_(path) {
  // O_NONBLOCK: do not wait for a pipe's writer.
  const FileDescriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) fail(path, ": cannot open: ", system_error());
  struct stat info = {};
  if (fstat(file.fd, &info) != 0) fail(path, ": cannot stat: ", system_error());
  if (S_ISDIR(info.st_mode)) fail(path, ": is a directory, expected a file");
  if (!S_ISREG(info.st_mode)) fail(path, ": is not a regular file");
  if (info.st_size == 0) fail(path, ": is empty");
  const auto size = static_cast<std::size_t>(info.st_size);
  void* p = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (p == MAP_FAILED) fail(path, ": cannot map ", size, " bytes: ", system_error());
  bytes_ = {static_cast<const std::byte*>(p), size};
}

FileView::~FileView() {
  if (!bytes_.empty()) munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

FileView::FileView(FileView&& other) noexcept
    : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

FileView& FileView::operator=(FileView&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(bytes_, other.bytes_);
  return *this;
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
    fail_here(str(what, " ends here, but ", remaining_bytes(), " more bytes follow: file size is ",
                  size_bytes(), ", expected ", offset_));
  }
}

void ByteReader::fail_here(const std::string& message) const {
  fail(path_, ": ", message, " (at byte ", offset_, ")");
}

Header read_header(ByteReader& in, std::int32_t magic, std::string_view kind) {
  Header header;
  if (in.remaining_bytes() < Header::kBytes) {
    in.fail_here(str("truncated: the header of a ", kind, " is ", Header::kBytes, " bytes, got ",
                     in.remaining_bytes()));
  }
  in.read_into(header.ints, Header::kInts, "header");
  if (header[0] == magic) return header;
  const bool swapped =
      byte_swapped(static_cast<std::uint32_t>(header[0])) == static_cast<std::uint32_t>(magic);
  fail(in.path(), ": not a ", kind, ": magic is ", header[0], ", expected ", magic, " (at byte 0)",
       swapped ? "; the bytes are swapped: a big-endian file" : "");
}

namespace {

constexpr std::string_view kTemporary = ".tmp-";  // then the number of the process that writes

// Whether a file is the temporary one of a process that is no more.
bool is_unfinished(const std::string& name) {
  const std::size_t at = name.rfind(kTemporary);
  if (at == std::string::npos) return false;
  const char *begin = name.data() + at + kTemporary.size(), *end = name.data() + name.size();
  pid_t pid = 0;
  const auto [parsed, error] = std::from_chars(begin, end, pid);
  return error == std::errc() && parsed == end && pid > 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

}  // namespace

void remove_unfinished(const std::string& directory) {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory, none)) {
    if (is_unfinished(entry.path().filename().string())) std::filesystem::remove(entry.path(), none);
  }
}

AtomicFile::AtomicFile(const std::string& path) : path_(path), temporary_(str(path, kTemporary, getpid())) {
  std::error_code none;
  if (std::filesystem::exists(path, none) && !std::filesystem::is_regular_file(path, none)) {
    fail(path_, ": cannot write: is no regular file, and would be replaced by one");
  }
  fd_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) fail(path_, ": cannot write: ", system_error());
}

AtomicFile::~AtomicFile() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(temporary_.c_str());
}

namespace {

// Calls write(next, count), which says how much it wrote, until all is written. `where` is for the message.
template <class Write>
void write_all(const std::string& path, const void* data, std::int64_t count_bytes, const std::string& where,
               Write write) {
  const char* next = static_cast<const char*>(data);
  while (count_bytes > 0) {
    constexpr std::int64_t kMostAtOnce = std::int64_t{1} << 30;  // write(2) takes 2 GiB at the most
    const ssize_t written = write(next, static_cast<std::size_t>(std::min(count_bytes, kMostAtOnce)));
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(path, ": cannot write ", count_bytes, " bytes", where, ": ", system_error());
    }
    next += written;
    count_bytes -= written;
  }
}

}  // namespace

void AtomicFile::write(const void* data, std::int64_t count_bytes) {
  write_all(path_, data, count_bytes, "",
            [this](const char* next, std::size_t count) { return ::write(fd_, next, count); });
}

void AtomicFile::write_at(std::int64_t offset, const void* data, std::int64_t count_bytes) {
  write_all(path_, data, count_bytes, str(" at byte ", offset), [&](const char* next, std::size_t count) {
    return pwrite(fd_, next, count, offset + (next - static_cast<const char*>(data)));
  });
}

void AtomicFile::commit() {
  if (fsync(fd_) != 0) fail(path_, ": cannot write to disk: ", system_error());
  const int closed = close(std::exchange(fd_, -1));
  if (closed != 0 || rename(temporary_.c_str(), path_.c_str()) != 0) {
    const std::string why = system_error();
    unlink(temporary_.c_str());
    fail(path_, ": cannot put the finished file in place: ", why);
  }
  sync_directory(std::filesystem::path(path_).parent_path().string());
}

void sync_directory(const std::string& directory) {
  const FileDescriptor dir{
      open(directory.empty() ? "." : directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (dir.fd < 0 || fsync(dir.fd) != 0) fail(directory, ": cannot sync the directory: ", system_error());
}

}  // namespace inkling
