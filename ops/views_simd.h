// A matrix transposed from memory to memory, for the copies of ops/views.h.
#pragma once

#include "ops/simd.h"
#include "ops/transpose_simd.h"

namespace inkling::simd {

// What is too narrow for registers.
template <class V>
void transpose_plainly(float* out, std::int64_t out_stride, const float* in, std::int64_t in_stride,
                       std::int64_t rows, std::int64_t columns, bool accumulate) {
  for (std::int64_t c = 0; c < columns; ++c) {
    for (std::int64_t r = 0; r < rows; ++r) {
      float& element = out[c * out_stride + r];
      element = (accumulate ? element : 0.0f) + in[r * in_stride + c];
    }
  }
}

// out (columns, rows), rows out_stride apart, = or += the transpose of in (rows, columns), in_stride apart.
template <class V>
void transpose(float* out, std::int64_t out_stride, const float* in, std::int64_t in_stride,
               std::int64_t rows, std::int64_t columns, bool accumulate) noexcept {
  constexpr int R = transposed_rows<V, 16>();
  const std::int64_t body_rows = rows - rows % R, body_columns = columns - columns % 4;
  for (std::int64_t r = 0; r < body_rows; r += R) {
    for (std::int64_t c = 0; c < body_columns; c += 4) {
      float* block = out + c * out_stride + r;
      if (!accumulate) {
        transpose_x4<V, R>(block, out_stride, in + r * in_stride + c, in_stride);
        continue;
      }
      alignas(64) float sums[4 * R];
      transpose_x4<V, R>(sums, R, in + r * in_stride + c, in_stride);
      for (std::int64_t i = 0; i < 4 * R; i += V::kLanes) {
        float* place = block + i / R * out_stride + i % R;
        store(place, load<V>(place) + load<V>(sums + i));
      }
    }
  }
  transpose_plainly<V>(out + body_columns * out_stride, out_stride, in + body_columns, in_stride, body_rows,
                       columns - body_columns, accumulate);
  transpose_plainly<V>(out + body_rows, out_stride, in + body_rows * in_stride, in_stride, rows - body_rows,
                       columns, accumulate);
}

}  // namespace inkling::simd
