// The header that all files in llm.c's formats begin with: models, token shards, tokenizers, optimiser
// states.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/binary_file.h"

namespace inkling {

// The header of every llm.c file: 256 int32, where h[0] is a magic number and h[1] a version. read_header()
// throws an Error if the magic number is wrong or byte-swapped.
struct Header {
  static constexpr int kInts = 256;
  static constexpr std::int64_t kBytes = 4 * kInts;

  std::int32_t operator[](int i) const { return ints[i]; }
  std::int32_t& operator[](int i) { return ints[i]; }

  std::int32_t ints[kInts] = {};
};
Header read_header(ByteReader& in, std::int32_t magic, std::string_view kind);

// Throws an Error about entry i of the header: "path: message (at byte 4 * i)".
[[noreturn]] void fail_at_entry(const ByteReader& in, int i, const std::string& message);

}  // namespace inkling
