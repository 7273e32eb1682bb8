#include "apps/run/optimizer_file.h"

#include "core/binary_file.h"
#include "core/error.h"
#include "nn/file_header.h"

namespace inkling {

namespace {

constexpr std::int32_t kVersion = 1;

}  // namespace

void save_optimizer(const std::string& path, Optimizer& optimizer, FolderSync folder) {
  const auto arrays = optimizer.state();
  const std::uint64_t length = arrays.empty() ? 0 : arrays.front().values.size();
  Header h;
  h[0] = kOptimizerMagic;
  h[1] = kVersion;
  h[2] = static_cast<std::int32_t>(arrays.size());
  h[3] = static_cast<std::int32_t>(static_cast<std::uint32_t>(length));
  h[4] = static_cast<std::int32_t>(static_cast<std::uint32_t>(length >> 32));
  AtomicFile file(path);
  file.write_value(h);
  for (const auto& array : arrays)
    file.write(array.values.data(), static_cast<std::int64_t>(array.values.size_bytes()));
  file.commit(folder);
}

void load_optimizer(const std::string& path, Optimizer& optimizer) {
  const FileView file(path);
  ByteReader in(file);
  const Header h = read_header(in, kOptimizerMagic, "optimiser state");
  if (h[1] != kVersion) fail_at_entry(in, 1, str("version is ", h[1], ", expected ", kVersion));
  const auto arrays = optimizer.state();
  const std::uint64_t length =
      static_cast<std::uint32_t>(h[3]) | (std::uint64_t{static_cast<std::uint32_t>(h[4])} << 32);
  const std::uint64_t expected = arrays.empty() ? 0 : arrays.front().values.size();
  if (h[2] != static_cast<std::int32_t>(arrays.size()) || length != expected) {
    fail_at_entry(in, h[2] != static_cast<std::int32_t>(arrays.size()) ? 2 : 3,
                  str("holds ", h[2], " arrays of ", length, " floats, expected ", arrays.size(),
                      " arrays of ", expected, " floats"));
  }
  for (const auto& array : arrays) in.read_into(array.values.data(), std::ssize(array.values), array.name);
  in.expect_end("optimiser state");
}

}  // namespace inkling
