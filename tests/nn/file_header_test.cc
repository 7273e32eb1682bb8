// The header of llm.c's files.
#include "nn/file_header.h"

#include <algorithm>

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

ByteReader reader(const std::string& bytes) {
  return {std::as_bytes(std::span(bytes)), "some.bin"};
}

TEST_CASE("file header: a wrong length, magic number or byte order is an error") {
  Header header;
  header[0] = 20240326;
  header[1] = 3;
  std::string bytes(reinterpret_cast<const char*>(&header), Header::kBytes);
  ByteReader good = reader(bytes);
  const Header read = read_header(good, 20240326, "model");
  CHECK(read[1] == 3);
  CHECK(good.offset() == Header::kBytes);
  ByteReader wrong = reader(bytes);
  CHECK_THROWS_WITH(read_header(wrong, 7, "shard"),
                    contains("some.bin: not a shard: the magic number is 20240326, expected 7 (at byte 0)") &&
                        !contains("swapped"));
  std::swap(bytes[0], bytes[3]);
  std::swap(bytes[1], bytes[2]);
  ByteReader swapped = reader(bytes);
  CHECK_THROWS_WITH(read_header(swapped, 20240326, "model"), contains("the bytes are swapped"));
  ByteReader cut = reader(bytes.substr(0, 1000));
  CHECK_THROWS_WITH(read_header(cut, 20240326, "model"),
                    contains("the header of a model is 1024 bytes, got 1000"));
}

}  // namespace
}  // namespace inkling
