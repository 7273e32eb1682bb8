// The micro-kernel of gemm and the two loops around it. ops/gemm/gemm.h explains how they work together;
// packing is in ops/gemm/gemm_pack_simd.h.
#pragma once

#include "ops/gemm/gemm_pack_simd.h"
#include "ops/gemm/operands.h"
#include "ops/kernels.h"
#include "ops/simd/simd.h"

namespace inkling::simd {

// The memory that will be read after the current panel: `runs` arrays of `length` floats, `stride` apart. The
// micro-kernel prefetches a few lines of it every kGroup steps. Without this, packing a panel from L3 or
// memory would take a tenth of the time of multiplying it.
template <class V>
struct Ahead {
  static constexpr std::int64_t kLine = 16;  // floats

  const float* line = nullptr;
  std::int64_t stride = 0, length = 0, runs = 0;
  std::int64_t offset = 0;
  std::int64_t lines_a_group = 0;

  void fetch() {
    for (std::int64_t i = 0; i < lines_a_group && runs > 0; ++i) {
      __builtin_prefetch(line + offset, 0, 2);  // into L2, because it is needed only later
      offset += kLine;
      if (offset < length) continue;
      offset = 0;
      line += stride;
      --runs;
    }
  }
  // Divides all lines among `groups` calls of fetch().
  void spread_over(std::int64_t groups) {
    lines_a_group = (runs * ((length + kLine - 1) / kLine) + groups - 1) / groups;
  }
};

// Steps of k between two calls of Ahead::fetch().
constexpr std::int64_t kGroup = 8;
// A panel of B is read from L2, one row in each step. A row that is prefetched this many steps earlier is in
// L1 in time. A prefetch past the end of the panel is harmless: it never faults.
constexpr std::int64_t kStepsAhead = 8;
// The panels of A are read one after another from L2, or from L3 if there are many.
constexpr std::int64_t kStepsAheadOfA = 40;

// PackedRows and RowsToPack give the micro-kernel the row of B for each step k. PackedRows reads it from a
// packed panel. RowsToPack reads it from B itself, and at the same time packs it for the next tiles.
template <class V, int NR>
struct PackedRows {
  const float* panel;

  void fetch(std::int64_t k, std::int64_t column) const {
    __builtin_prefetch(panel + (k + kStepsAhead) * NR + column);
  }
  V row(std::int64_t k, std::int64_t column) const { return load<V>(panel + k * NR + column); }
};
template <class V, int NR>
struct RowsToPack {
  const float* source;
  std::int64_t stride;
  float* panel;

  void fetch(std::int64_t k, std::int64_t column) const {
    __builtin_prefetch(source + (k + 2 * kStepsAhead) * stride + column);
  }
  V row(std::int64_t k, std::int64_t column) const {
    const V b = load<V>(source + k * stride + column);
    store(panel + k * NR + column, b);
    return b;
  }
};

// The part of C that a tile of finished sums goes to.
struct Destination {
  MatrixOut<float> C;
  std::int64_t rows, columns;  // at most the size of a tile
};

template <class V, int NRV>
void finish_edge(const Destination& to, const float* tile) {
  constexpr std::int64_t W = V::kLanes;
  const MatrixOut<float> C = to.C;
  for (std::int64_t i = 0; i < to.rows; ++i) {
    for (std::int64_t j = 0; j < to.columns; j += W) {
      const std::int64_t n = to.columns - j < W ? to.columns - j : W;
      V c = load<V>(tile + i * NRV * W + j);
      if (C.bias != nullptr) c += load_n<V>(C.bias + j, n);
      if (C.addend != nullptr) c += load_n<V>(C.addend + i * C.ld + j, n);
      store_n(C.data + i * C.ld + j, c, n);
    }
  }
}

// Adds bias and addend to a complete tile, each in a pass of its own over the registers, and stores the tile.
// `C` is a copy, so that the compiler keeps its fields in registers: a store to C.data might change the
// original.
template <class V, int MR, int NRV>
[[gnu::always_inline]] inline void finish(const MatrixOut<float> C, V (&tile)[MR][NRV]) {
  constexpr std::int64_t W = V::kLanes;
  if (C.bias != nullptr) {
#pragma GCC unroll 16
    for (int j = 0; j < NRV; ++j) {
      const V bias_j = load<V>(C.bias + j * W);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) tile[i][j] += bias_j;
    }
  }
  if (C.addend != nullptr) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < NRV; ++j) tile[i][j] += load<V>(C.addend + i * C.ld + j * W);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < NRV; ++j) store(C.data + i * C.ld + j * W, tile[i][j]);
  }
}

// C(rows, columns) = a b (+ bias) (+ addend). a is a panel [k][MR]; b gives NRV registers for each k.
template <class V, int MR, int NRV, class Rows>
void micro_kernel(const Destination& to, const float* a, const Rows& b, std::int64_t K, Ahead<V>& ahead) {
  constexpr std::int64_t W = V::kLanes;
  V tile[MR][NRV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 16
    for (int j = 0; j < NRV; ++j) tile[i][j] = V(0.0f);
  }
  for (std::int64_t group = 0; group < K; group += kGroup) {
    ahead.fetch();
    for (std::int64_t i = 0; i < kGroup * MR; i += 16) {
      __builtin_prefetch(a + (group + kStepsAheadOfA) * MR + i);
    }
    // Prefetch one row of C at a time: all rows at once would delay the loads of A and B.
    const std::int64_t i_C = group / kGroup;
    for (std::int64_t j = 0; i_C < to.rows && j < to.columns; j += 16) {
      __builtin_prefetch(to.C.data + i_C * to.C.ld + j, 1);
    }
    const std::int64_t group_end = group + kGroup < K ? group + kGroup : K;
    for (std::int64_t k = group; k < group_end; ++k) {
      for (std::int64_t j = 0; j < NRV * W; j += 16) b.fetch(k, j);
      V b_k[NRV];
#pragma GCC unroll 16
      for (int j = 0; j < NRV; ++j) b_k[j] = b.row(k, j * W);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) {
        const V a_ik(a[k * MR + i]);
#pragma GCC unroll 16
        for (int j = 0; j < NRV; ++j) tile[i][j] = fma(a_ik, b_k[j], tile[i][j]);
      }
    }
  }
  if (to.rows != MR || to.columns != NRV * W) {
    alignas(64) float edge[MR * NRV * W];
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 16
      for (int j = 0; j < NRV; ++j) store(edge + (i * NRV + j) * W, tile[i][j]);
    }
    return finish_edge<V, NRV>(to, edge);
  }
  finish<V, MR, NRV>(to.C, tile);
}

// Computes the last panel of B with as few registers as its columns need.
template <class V, int MR, int NRV, class Rows>
void micro_kernel_up_to(const Destination& to, const float* a, const Rows& b, std::int64_t K,
                        Ahead<V>& ahead) {
  if constexpr (NRV > 1) {
    if (to.columns <= (NRV - 1) * V::kLanes) return micro_kernel_up_to<V, MR, NRV - 1>(to, a, b, K, ahead);
  }
  micro_kernel<V, MR, NRV>(to, a, b, K, ahead);
}

// Multiplies rows [m, M) of A by one panel of B. C has the columns of the panel.
template <class V, int MR, int NRV>
void multiply_panel(const MatrixOut<float>& C, Panels<float> A, const float* panel, std::int64_t m,
                    std::int64_t M, std::int64_t columns, std::int64_t K, Ahead<V>& ahead) {
  const PackedRows<V, NRV * V::kLanes> b{panel};
  for (; m < M; m += MR) {
    const Destination to{C.from(m, 0), M - m < MR ? M - m : MR, columns};
    micro_kernel_up_to<V, MR, NRV>(to, A.data + m / MR * A.stride, b, K, ahead);
  }
}

// The number of calls of Ahead::fetch() for one panel of B.
template <class V, int MR>
std::int64_t groups(std::int64_t M, std::int64_t K) {
  return ((M + MR - 1) / MR) * ((K + kGroup - 1) / kGroup);
}

// C = A B, where both are packed.
template <class V, int MR, int NRV>
void gemm_multiply(const MatrixOut<float>& C, Panels<float> A, Panels<float> B, ProductSize size) noexcept {
  constexpr std::int64_t NR = NRV * V::kLanes;
  const auto [M, N, K] = size;
  for (std::int64_t n = 0; n < N; n += NR) {
    const float* panel = B.data + n / NR * B.stride;
    Ahead<V> ahead;
    if (n + NR < N) ahead = {panel + B.stride, B.stride, K * NR, 1};
    ahead.spread_over(groups<V, MR>(M, K));
    multiply_panel<V, MR, NRV>(C.from(0, n), A, panel, 0, M, N - n < NR ? N - n : NR, K, ahead);
  }
}

// C = A B, where A is packed and B is not. Each panel of B is packed just before it is used; meanwhile the
// next panel, up to column N_ahead >= N, is prefetched. If B's rows are contiguous, the first tile of C packs
// the panel while it computes.
template <class V, int MR, int NRV>
void gemm_multiply_source(const MatrixOut<float>& C, Panels<float> A, MatrixIn<float> B, float* panel,
                          ProductSize size, std::int64_t N_ahead) noexcept {
  constexpr std::int64_t NR = NRV * V::kLanes;
  const auto [M, N, K] = size;
  for (std::int64_t n = 0; n < N; n += NR) {
    const float* source = B.data + n * B.col_stride;
    const std::int64_t columns = N - n < NR ? N - n : NR;
    const std::int64_t next = N_ahead - n - NR < NR ? N_ahead - n - NR : NR;  // columns of the next panel
    Ahead<V> ahead;
    if (next > 0) {
      const float* next_source = source + NR * B.col_stride;
      ahead = B.col_stride == 1 ? Ahead<V>{next_source, B.row_stride, next, K}
                                : Ahead<V>{next_source, B.col_stride, K, next};
    }
    ahead.spread_over(groups<V, MR>(M, K));
    const MatrixOut<float> to = C.from(0, n);
    if (B.col_stride == 1 && columns == NR) {
      const Destination first{to, M < MR ? M : MR, NR};
      micro_kernel<V, MR, NRV>(first, A.data, RowsToPack<V, NR>{source, B.row_stride, panel}, K, ahead);
      multiply_panel<V, MR, NRV>(to, A, panel, MR, M, NR, K, ahead);
    } else {
      gemm_pack<V, NR>(panel, 0, {source, B.col_stride, B.row_stride}, columns, K);
      multiply_panel<V, MR, NRV>(to, A, panel, 0, M, columns, K, ahead);
    }
  }
}

// The size of the tile of C that the micro-kernel computes, for registers of `Lanes` floats. `columns` is the
// number of registers side by side. The tile's sums, one row of B and one number of A must fit into the CPU's
// registers together, and the tile's rows and columns should divide the sizes of GPT-2's matrices.
template <std::int64_t Lanes>
struct GemmTile {
  static constexpr int rows = 4, columns = 4;
};
template <>
struct GemmTile<4> {
  // 8 of 16 registers hold sums. SSE2 has no fused multiply-add, so a product needs a register of its own.
  static constexpr int rows = 4, columns = 2;
};
template <>
struct GemmTile<8> {
  static constexpr int rows = 4, columns = 3;  // 12 of 16 registers hold sums
};
template <>
struct GemmTile<16> {
  static constexpr int rows = 8, columns = 3;  // 24 of 32 registers hold sums
};

template <class V>
constexpr GemmKernels gemm_kernels() {
  constexpr int MR = GemmTile<V::kLanes>::rows, NRV = GemmTile<V::kLanes>::columns;
  constexpr int NR = NRV * static_cast<int>(V::kLanes);
  return {MR,
          NR,
          gemm_pack<V, MR>,
          gemm_pack<V, NR>,
          gemm_multiply<V, MR, NRV>,
          gemm_multiply_source<V, MR, NRV>};
}

}  // namespace inkling::simd
