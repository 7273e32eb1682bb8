#include "tests/faults/disk.h"

#include <fcntl.h>

#include <algorithm>
#include <filesystem>

#include "core/error.h"
#include "tests/temporary_directory.h"

namespace inkling::test {

namespace fs = std::filesystem;
using Kind = SystemCall::Kind;

Image read_image(const std::string& directory) {
  Image image;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string path = entry.path().lexically_relative(directory).string();
    if (entry.is_directory()) {
      image[path + "/"] = "";
    } else {
      image[path] = read_text(entry.path().string());
    }
  }
  return image;
}

void write_image(const Image& image, const std::string& directory) {
  for (const auto& [path, bytes] : image) {  // paths are sorted, so a directory comes before its files
    if (path.ends_with('/')) {
      fs::create_directory(directory + "/" + path);
    } else {
      write_text(directory + "/" + path, bytes);
    }
  }
}

Disk::Disk(const Image& synced) : root_(std::make_shared<Node>()) {
  root_->directory = true;
  for (const auto& [path, bytes] : synced) {
    const auto node = std::make_shared<Node>();
    node->directory = path.ends_with('/');
    node->bytes = node->synced_bytes = bytes;
    const std::string name = node->directory ? path.substr(0, path.size() - 1) : path;
    siblings(name)[fs::path(name).filename().string()] = node;
  }
  const auto sync = [](const auto& self, Node& node) -> void {
    node.synced_names = node.names;
    for (const auto& entry : node.names) self(self, *entry.second);
  };
  sync(sync, *root_);
}

// The names in the directory that contains `path`.
std::map<std::string, std::shared_ptr<Disk::Node>>& Disk::siblings(const std::string& path) {
  Node* node = root_.get();
  for (const auto& part : fs::path(path).parent_path()) {
    const auto found = node->names.find(part.string());
    if (found == node->names.end()) fail(path, ": no call in the log creates ", part.string());
    node = found->second.get();
  }
  return node->names;
}

void Disk::apply(const SystemCall& call) {
  if (call.error != 0) return;
  const std::string name = fs::path(call.path).filename().string();
  switch (call.kind) {
    case Kind::open: {
      auto& node = call.path == "." ? root_ : siblings(call.path)[name];
      if (!node) node = std::make_shared<Node>();
      if ((call.flags & O_TRUNC) != 0) node->bytes.clear();
      open_[call.open_id] = node;
      break;
    }
    case Kind::write: {
      std::string& bytes = open_.at(call.open_id)->bytes;
      const auto begin = static_cast<std::size_t>(call.offset);
      bytes.resize(std::max(bytes.size(), begin + call.bytes.size()));
      bytes.replace(begin, call.bytes.size(), call.bytes);
      break;
    }
    case Kind::truncate:
      open_.at(call.open_id)->bytes.resize(static_cast<std::size_t>(call.offset));
      break;
    case Kind::sync: {
      Node& node = *open_.at(call.open_id);
      node.synced_bytes = node.bytes;
      node.synced_names = node.names;
      break;
    }
    case Kind::close:
      open_.erase(call.open_id);
      break;
    case Kind::rename: {
      auto& from = siblings(call.path);
      siblings(call.new_path)[fs::path(call.new_path).filename().string()] = from.at(name);
      from.erase(name);
      break;
    }
    case Kind::make_directory: {
      const auto node = std::make_shared<Node>();
      node->directory = true;
      siblings(call.path)[name] = node;
      break;
    }
    case Kind::remove:
      siblings(call.path).erase(name);
      break;
  }
}

void Disk::list(const Node& node, const std::string& path, bool synced_names, bool synced_bytes,
                Image& image) {
  if (!path.empty()) image[path] = synced_bytes ? node.synced_bytes : node.bytes;
  for (const auto& [name, child] : synced_names ? node.synced_names : node.names) {
    list(*child, path + name + (child->directory ? "/" : ""), synced_names, synced_bytes, image);
  }
}

Image Disk::after_kill() const {
  Image image;
  list(*root_, "", false, false, image);
  return image;
}

Image Disk::after_power_cut() const {
  Image image;
  list(*root_, "", true, true, image);
  return image;
}

Image Disk::after_power_cut_with_all_names() const {
  Image image;
  list(*root_, "", false, true, image);
  return image;
}

}  // namespace inkling::test
