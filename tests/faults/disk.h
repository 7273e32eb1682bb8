// What is left of a directory after a kill or a power cut, worked out from a log of system calls.
//
// A Disk goes through the log, one call at a time. For every file it keeps two texts, the bytes written so
// far and the bytes at the last fsync of the file; for every directory two lists of names, the same way. A
// kill leaves what was written. A power cut leaves what was synced, or more: a file system may put names on
// disk before anybody asks for it, and still not have the bytes of the files they name.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "tests/faults/system_calls.h"

namespace inkling::test {

// The files below a directory: path -> bytes. A directory's path ends with a slash, and it has no bytes.
using Image = std::map<std::string, std::string>;

Image read_image(const std::string& directory);
void write_image(const Image& image, const std::string& directory);

class Disk {
 public:
  explicit Disk(const Image& synced = {});  // the directory before the first call, all of it on disk
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  void apply(const SystemCall& call);

  Image after_kill() const;
  Image after_power_cut() const;                 // neither names nor bytes that were not synced
  Image after_power_cut_with_all_names() const;  // every name, but no bytes that were not synced

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
  std::map<std::int64_t, std::shared_ptr<Node>> open_;  // by SystemCall::open_id
};

}  // namespace inkling::test
