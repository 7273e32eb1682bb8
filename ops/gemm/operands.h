// The operands of a product C = A B, for ops/gemm and its callers: a matrix that is read, a matrix that is
// written, and a factor that is packed. T is float or bf16. None of them owns memory.
//
// Read next: ops/gemm/gemm.h.
#pragma once

#include <cstdint>

#include "core/bf16.h"

namespace inkling {

// C (M,N) = A (M,K) B (K,N)
struct ProductSize {
  std::int64_t M, N, K;
};

// A matrix that is read: element (i, j) is data[i * row_stride + j * col_stride]. One of the strides is 1.
template <class T>
struct MatrixIn {
  const T* data;
  std::int64_t row_stride, col_stride;

  MatrixIn transposed() const { return {data, col_stride, row_stride}; }
  // The part that starts at row i and column j.
  MatrixIn from(std::int64_t i, std::int64_t j) const {
    return {data + i * row_stride + j * col_stride, row_stride, col_stride};
  }
};

// A matrix whose rows are contiguous and `ld` elements apart.
template <class T>
MatrixIn<T> rows(const T* data, std::int64_t ld) {
  return {data, ld, 1};
}

// The matrix that is written, and what is added to the product: C (M,N) = A B (+ bias(N) on every row)
// (+ addend(M,N)). Rows of `data` and of `addend` are `ld` elements apart. `addend` may be `data` itself;
// otherwise the result overlaps no input. A bf16 result is rounded once, at the end.
template <class T>
struct MatrixOut {
  T* data;
  std::int64_t ld;
  const float* bias = nullptr;
  const T* addend = nullptr;
  bool stream = false;  // the result is not read again soon; products in bf16 write it past the caches

  // The part that starts at row i and column j. Inlined always, because the kernels of all instruction sets
  // use it (make check-isa).
  [[gnu::always_inline]] MatrixOut from(std::int64_t i, std::int64_t j) const {
    const std::int64_t at = i * ld + j;
    return {data + at, ld, bias == nullptr ? nullptr : bias + j, addend == nullptr ? nullptr : addend + at,
            stream};
  }
};

// A result without bias, which is assigned to `data`, or added to it.
template <class T>
MatrixOut<T> assign_or_add(T* data, std::int64_t ld, bool accumulate) {
  return {data, ld, nullptr, accumulate ? data : nullptr};
}

// A factor that is packed into panels, or sums of panels. Panels are `stride` elements apart.
template <class T>
struct Panels {
  const T* data;
  std::int64_t stride;
};

// Where the tiles of 16 lanes are written, one after another along k (ops/gemm/gemm_bf16.h).
enum class TileOrder : std::uint8_t;  // ops/simd/tile_sizes.h
struct TileRun {
  bf16* tiles;        // aligned to 64 bytes
  std::int64_t step;  // elements from one tile to the next
  TileOrder order;
  bool stream;  // write past the caches; then a fence must follow before another thread reads the tiles
};

}  // namespace inkling
