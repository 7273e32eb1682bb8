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

void save_optimizer(const std::string& path, Optimizer& optimizer, FolderSync folder) {
  const auto arrays = optimizer.state();
  AtomicFile file(path);
  write_optimizer_header(file, arrays.size(), arrays.empty() ? 0 : arrays.front().values.size());
  for (const auto& array : arrays)
    file.write(array.values.data(), static_cast<std::int64_t>(array.values.size_bytes()));
  file.commit(folder);
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

void load_optimizer(const std::string& path, Optimizer& optimizer) {
  const FileView file(path);
  ByteReader in(file);
  const auto arrays = optimizer.state();
  read_optimizer_header(in, arrays.size(), arrays.empty() ? 0 : arrays.front().values.size());
  for (const auto& array : arrays) in.read_into(array.values.data(), std::ssize(array.values), array.name);
  in.expect_end("optimiser state");
}

}  // namespace inkling
