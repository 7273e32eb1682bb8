// Computes the contents of a directory after a kill or a power cut from a log of system calls.
//
// A Disk goes through the log, one call at a time. For every file it keeps the bytes written so far and the
// bytes at the last fsync of the file. For every directory it keeps the current names and the names at the
// last fsync. A kill leaves all that was written. A power cut leaves all that was synced, and possibly more:
// a file system may write names to the disk earlier, before it writes the bytes of these files.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "tests/faults/system_calls.h"

namespace inkling::test {

// The files below a directory, as a map from path to bytes. The path of a directory ends with a slash, and
// its bytes are empty.
using Image = std::map<std::string, std::string>;

Image read_image(const std::string& directory);
void write_image(const Image& image, const std::string& directory);

class Disk {
 public:
  explicit Disk(const Image& synced = {});  // `synced`: the files before the first call, all on disk
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  void apply(const SystemCall& call);

  Image after_kill() const;
  Image after_power_cut() const;                 // only names and bytes that were synced
  Image after_power_cut_with_all_names() const;  // all names, but only bytes that were synced

 private:
  struct Node {
    bool directory = false;
    std::string bytes, synced_bytes;
    std::map<std::string, std::shared_ptr<Node>> names, synced_names;
  };
  std::map<std::string, std::shared_ptr<Node>>& siblings(const std::string& path);
  static void list(const Node& node, const std::string& path, bool synced_names, bool synced_bytes,
                   Image& image);

  std::shared_ptr<Node> root_;
  std::map<std::int64_t, std::shared_ptr<Node>> open_;  // open files, by SystemCall::open_id
};

}  // namespace inkling::test
