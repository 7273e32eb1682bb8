#include "nn/file_header.h"

#include "core/error.h"

namespace inkling {

namespace {

std::uint32_t byte_swapped(std::uint32_t x) {
  return (x >> 24) | ((x >> 8) & 0xff00u) | ((x << 8) & 0xff0000u) | (x << 24);
}

}  // namespace

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
  fail(in.path(), ": not a ", kind, ": the magic number is ", header[0], ", expected ", magic, " (at byte 0)",
       swapped ? "; the bytes are swapped, so this is a big-endian file" : "");
}

void fail_at_entry(const ByteReader& in, int i, const std::string& message) {
  fail(in.path(), ": ", message, " (at byte ", i * static_cast<int>(sizeof(std::int32_t)), ")");
}

}  // namespace inkling
