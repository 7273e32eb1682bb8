// Reading and writing files: a damaged file is always recognised, and a crash never destroys data.
//
// Reading: a FileView maps a whole file into memory. A ByteReader reads values one after another, checks that
// enough bytes are left, and gives the path and the offset in its errors. Parsers take a ByteReader, so a
// test or a fuzzer needs no file. Writing: an AtomicFile is written under a temporary name in the same
// directory and replaces its target only at commit(): write, fsync, rename, fsync the directory. A program
// that opens the path always sees either the complete old file or the complete new file. All file formats are
// little-endian, and so are the machines that inkling supports.
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

// FileView: a read-only mapping of a regular file. Error if the file is missing, a directory, empty or
// unreadable. A FileView can be moved but not copied. If another program shortens the file later, reading the
// missing part raises SIGBUS; see core/mapped_files.h.
class FileView {
 public:
  explicit FileView(const std::string& path);
  ~FileView();
  FileView(FileView&& other) noexcept;
  FileView& operator=(FileView&& other) noexcept;
  FileView(const FileView&) = delete;
  FileView& operator=(const FileView&) = delete;

  std::span<const std::byte> bytes() const { return bytes_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }
  const std::string& path() const { return path_; }

  // Frees the memory of `part`, a part of bytes(). The part can still be read: the system then reads it from
  // the file again. So a program that reads a large file once needs little memory.
  void release(std::span<const std::byte> part) const;

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

  // Returns the next `count` bytes. Error if fewer bytes are left; the message calls these bytes `what`.
  std::span<const std::byte> take(std::int64_t count, std::string_view what);

  template <class T>
  T read(std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    T value;
    std::memcpy(&value, take(static_cast<std::int64_t>(sizeof(T)), what).data(), sizeof(T));
    return value;
  }

  // Reads `count` values into `out`.
  template <class T>
  void read_into(T* out, std::int64_t count, std::string_view what) {
    static_assert(std::is_trivially_copyable_v<T>);
    constexpr auto kSize = static_cast<std::int64_t>(sizeof(T));
    // this check comes before the product, which could overflow with a wrong header
    if (count < 0 || count > remaining_bytes() / kSize) {
      fail_here(str("truncated: ", what, " needs ", count, " values of ", kSize, " bytes, got ",
                    remaining_bytes(), " bytes"));
    }
    const auto source = take(count * kSize, what);
    if (!source.empty()) std::memcpy(out, source.data(), source.size());
  }

  // Error unless all bytes were read. The message calls the file's contents `what`.
  void expect_end(std::string_view what) const;

  // Throws an Error with the text "path: message (at byte offset)".
  [[noreturn]] void fail_here(const std::string& message) const;

 private:
  std::span<const std::byte> bytes_;
  std::string path_;
  std::int64_t offset_ = 0;
};

// Removes the temporary files that AtomicFiles of killed processes have left in a directory. Does nothing if
// the directory does not exist. The temporary files of running writers stay: a running writer, on this
// machine or on another machine that shares the directory, holds a lock (flock) on its temporary file.
void remove_unfinished(const std::string& directory);

// Whether commit() writes the file's new name to disk. by_caller: the caller commits several files into one
// folder and then calls sync_to_disk(folder) once.
enum class FolderSync { now, by_caller };

class AtomicFile {
 public:
  // Error if the directory is missing or cannot be written, if `path` exists and is not a regular file, or if
  // another AtomicFile for the same path is being written.
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();  // without commit(): removes the temporary file; the target stays unchanged
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::int64_t count_bytes);  // Error if the disk is full
  // Overwrites bytes that were written before, for example a header whose counts are known only at the end.
  void write_at(std::int64_t offset, const void* data, std::int64_t count_bytes);
  void write(std::string_view text) { write(text.data(), static_cast<std::int64_t>(text.size())); }
  template <class T>
  void write_value(const T& value) {
    static_assert(std::is_trivially_copyable_v<T>);
    write(&value, static_cast<std::int64_t>(sizeof(T)));
  }
  void commit(FolderSync folder = FolderSync::now);

 private:
  void discard();

  std::string path_;
  std::string temporary_;
  int fd_ = -1;
};

// Makes a system call, and repeats it while a signal interrupts it.
template <class Call>
auto uninterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Appends text to a file. The file is created if it does not exist. After append_to_file() the text survives
// the end of this process; after sync_to_disk() it also survives a power cut.
void append_to_file(const std::string& path, std::string_view text);

// Writes the data of a file, or the names in a directory, to the disk, so that they survive a power cut. The
// path "" means the current directory.
void sync_to_disk(const std::string& path);

}  // namespace inkling
