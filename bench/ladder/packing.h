// What rungs 3 to 5 share: packed copies of the factors, and the loop over tiles of C.
//
// A tile of C has MR x NR numbers, which a micro-kernel keeps in registers while it goes over all of k. For
// this it needs MR rows of A and NR columns of B. In each step of k it reads MR + NR numbers and computes MR
// NR products, so a larger tile needs less reading. The copies have the numbers in the order of reading:
//
//   A in strips of MR rows:     [M/MR][K][MR]
//   B in panels of NR columns:  [N/NR][K][NR]      the last strip and panel are filled up with zeros
//
// A panel (K x NR floats, about 100 KiB) stays in the L2 cache while all strips of A are multiplied with it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bench/ladder/ladder.h"

namespace inkling::ladder {

// Copies a matrix (rows, columns), in which the element (i, k) is at data[i * row_step + k * k_step], in
// groups of `width` rows: [rows/width][K][width].
inline void pack(float* out, const float* data, std::int64_t rows, std::int64_t K, std::int64_t row_step,
                 std::int64_t k_step, std::int64_t width) {
  for (std::int64_t group = 0; group < rows; group += width) {
    for (std::int64_t k = 0; k < K; ++k) {
      for (std::int64_t i = group; i < group + width; ++i)
        *out++ = i < rows ? data[i * row_step + k * k_step] : 0.0f;
    }
  }
}

inline std::int64_t round_up(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// The floats of a packed copy.
inline std::vector<float> packed_copy(const float* data, std::int64_t rows, std::int64_t K,
                                      std::int64_t row_step, std::int64_t k_step, std::int64_t width) {
  std::vector<float> copy(static_cast<std::size_t>(round_up(rows, width) * K));
  pack(copy.data(), data, rows, K, row_step, k_step, width);
  return copy;
}

// Computes rows [begin, end) of C from packed factors. `begin` is a multiple of MR. Kernel::run(tile, a, b,
// K) assigns the tile (MR, NR) of the products of a strip and a panel.
template <class Kernel>
void multiply_tiles(float* C, const float* a, const float* b, const Size& size, std::int64_t begin,
                    std::int64_t end) {
  constexpr std::int64_t MR = Kernel::MR, NR = Kernel::NR;
  const auto [M, N, K] = size;
  for (std::int64_t n = 0; n < N; n += NR) {
    for (std::int64_t m = begin; m < end; m += MR) {
      alignas(64) float tile[MR * NR];
      Kernel::run(tile, a + m * K, b + n * K, K);
      const std::int64_t columns = std::min(NR, N - n);
      for (std::int64_t i = 0; i < std::min(MR, M - m); ++i)
        std::copy_n(tile + i * NR, columns, C + (m + i) * N + n);
    }
  }
}

}  // namespace inkling::ladder
