// Reading and writing files: a damaged file is always recognised, and a crash never destroys data.
//
// Reading: a FileView maps a whole file. A ByteReader reads values one after another, checks that enough
// bytes are left, and gives the path and the offset in its errors. Parsers take a ByteReader, so a test or a
// fuzzer needs no file. Writing: an AtomicFile is written under a temporary name in the same directory and
// replaces its target only at commit(): write, fsync, rename, fsync the directory. A program that opens the
// path always sees either the old file or the new one, complete. All formats are little-endian; so are the
// machines that we build for.
#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/error.h"

namespace inkling {

// A read-only mapping of a regular file. Error if it is missing, a directory, empty or unreadable.
// Move-only.
class FileView {
 public:
  explicit FileView(const std::string& path);
  ~FileView();
  FileView(FileView&& other) noexcept;
  FileView& operator=(FileView&& other) noexcept;
  FileView(const FileView&) = delete;
  FileView& operator=(const FileView&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::span<const std::byte> bytes_;
};

class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string path) : bytes_(bytes), path_(std::move(path)) {}
  explicit ByteReader(const FileView& file) : ByteReader(file.bytes(), file.path()) {}

  std::int64_t size_bytes() const { return static_cast<std::int64_t>(bytes_.size()); }
  std::int64_t offset() const { return offset_; }
  std::int64_t remaining_bytes() const { return size_bytes() - offset_; }
  const std::string& path() const { return path_; }

  // The next `count` bytes. Error if fewer are left; `what` describes them in the message.
  std::span<const std::byte> take(std::int64_t count, std::string_view what);

  template <class T>
  T read(std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, take(static_cast<std::int64_t>(sizeof(T)), what).data(), sizeof(T));
    return value;
  }

  // Copies `count` values into `out`.
  template <class T>
  void read_into(T* out, std::int64_t count, std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
    // before the product, which a lying header could make overflow
    if (count < 0 || count > remaining_bytes() / kSize) {
      fail_here(str("truncated: ", what, " is ", count, " values of ", kSize, " bytes, got ",
                    remaining_bytes(), " bytes"));
    }
    const auto source = take(count * kSize, what);
    if (!source.empty()) std::memcpy(out, source.data(), source.size());
  }

  // Error unless everything was read.
  void expect_end(std::string_view what) const;

  // Throws Error "path: message (at byte offset)".
  [[noreturn]] void fail_here(const std::string& message) const;

 private:
  std::span<const std::byte> bytes_;
  std::string path_;
  std::int64_t offset_ = 0;
};

// The header of every llm.c file: 256 int32, h[0] a magic number, h[1] a version. Error for a wrong, or
// byte-swapped, magic.
struct Header {
  static constexpr int kInts = 256;
  static constexpr std::int64_t kBytes = 4 * kInts;

  std::int32_t operator[](int i) const { return ints[i]; }
  std::int32_t& operator[](int i) { return ints[i]; }

  std::int32_t ints[kInts] = {};
};
Header read_header(ByteReader& in, std::int32_t magic, std::string_view kind);

// Removes from a directory, if there is one, the temporary files of AtomicFiles whose process was killed. A
// writer that is alive, on this machine or on another one that shares the directory, holds a lock (flock) on
// its temporary file.
void remove_unfinished(const std::string& directory);

class AtomicFile {
 public:
  // Error when the directory is missing or cannot be written, when what stands at `path` is no regular file,
  // or when another AtomicFile for the same path is being written.
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();  // not committed: the temporary file goes, the target stays as it was
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::int64_t count_bytes);  // Error when the disk is full
  // Writes over bytes that are already there, such as a header whose counts are known only at the end.
  void write_at(std::int64_t offset, const void* data, std::int64_t count_bytes);
  void write(std::string_view text) { write(text.data(), static_cast<std::int64_t>(text.size())); }
  template <class T>
  void write_value(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    write(&value, static_cast<std::int64_t>(sizeof(T)));
  }
  void commit();

 private:
  void discard();

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

// Makes a system call, and makes it again for as long as a signal interrupts it.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Appends to a file, which is made if it is not there. The text survives the end of this process when the
// call returns, and a power cut after sync_to_disk().
void append_to_file(const std::string& path, std::string_view text);

// Makes a file's bytes, or the names in a directory, survive a power cut. "" is the current directory.
void sync_to_disk(const std::string& path);

}  // namespace inkling
