#include "tests/fuzz/targets.h"

#include <fstream>

#include "tests/temporary_directory.h"

namespace inkling::fuzz {

std::string scratch(const std::string& name) {
  static const test::TemporaryDirectory directory;
  return directory / name;
}

std::string put(const std::string& name, Bytes bytes) {
  std::string path = scratch(name);
  test::write_text(path, std::string(as_text(bytes)));
  return path;
}

}  // namespace inkling::fuzz
