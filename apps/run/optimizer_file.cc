#include "apps/run/optimizer_file.h"

#include "core/binary_file.h"
#include "core/error.h"
#include "nn/file_header.h"

namespace inkling {

namespace {

constexpr std::int32_t kVersion = 1;

}  // namespace

void write_optimizer_header(AtomicFile& file, std::size_t arrays, std::uint64_t length) {
  Header h;
  h[0] = kOptimizerMagic;
  h[1] = kVersion;
  h[2] = static_cast<std::int32_t>(arrays);
  h[3] = static_cast<std::int32_t>(static_cast<std::uint32_t>(length));
  h[4] = static_cast<std::int32_t>(static_cast<std::uint32_t>(length >> 32));
  file.write_value(h);
}

void read_optimizer_header(ByteReader& in, std::size_t arrays, std::uint64_t expected) {
  const Header h = read_header(in, kOptimizerMagic, "optimiser state");
  if (h[1] != kVersion) fail_at_entry(in, 1, str("version is ", h[1], ", expected ", kVersion));
  const std::uint64_t length =
      static_cast<std::uint32_t>(h[3]) | (std::uint64_t{static_cast<std::uint32_t>(h[4])} << 32);
  if (h[2] != static_cast<std::int32_t>(arrays) || length != expected) {
    fail_at_entry(in, h[2] != static_cast<std::int32_t>(arrays) ? 2 : 3,
                  str("holds ", h[2], " arrays of ", length, " floats, expected ", arrays, " arrays of ",
                      expected, " floats"));
  }
}

}  // namespace inkling
