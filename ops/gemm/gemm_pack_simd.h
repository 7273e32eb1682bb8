// Packing: copies an operand of gemm into panels that the micro-kernel reads from front to back
// (ops/gemm/gemm.h).
//
// A panel has R lanes, which are rows of A or columns of B: panel[k * R + lane]. Unused lanes of the last
// panel are set to zero. Their sums are not used, but arbitrary contents could be denormals, which are slow.
#pragma once

#include "ops/gemm/operands.h"
#include "ops/simd/simd.h"
#include "ops/simd/transpose_simd.h"

namespace inkling::simd {

// The lanes are contiguous in memory, in[k * stride + lane]. Goes row by row through all panels, so that
// memory is read in order.
template <class V, int R>
void pack_copied(float* panels, std::int64_t panel_stride, const float* in, std::int64_t stride,
                 std::int64_t lanes, std::int64_t K) {
  constexpr std::int64_t W = V::kLanes;
  for (std::int64_t k = 0; k < K; ++k) {
    const float* in_k = in + k * stride;
    float* out_k = panels + k * R;
    std::int64_t lane = 0;
    for (; lane + R <= lanes; lane += R) {
      if constexpr (R % W == 0) {
        for (std::int64_t i = 0; i < R; i += W) store(out_k + i, load<V>(in_k + lane + i));
      } else {
        __builtin_memcpy(out_k, in_k + lane, R * sizeof(float));
      }
      out_k += panel_stride;
    }
    if (lane == lanes) continue;
    for (std::int64_t i = 0; i < R; ++i) out_k[i] = lane + i < lanes ? in_k[lane + i] : 0.0f;
  }
}

// Packs one panel whose lanes are not contiguous in memory: in[lane * stride + k].
template <class V, int R>
void pack_transposed(float* panel, const float* in, std::int64_t stride, std::int64_t lanes, std::int64_t K) {
  constexpr int G = transposed_rows<V, R>();
  static_assert(R % G == 0);
  const std::int64_t body = K - K % 4;
  std::int64_t lane = 0;
  for (; lane + G <= lanes; lane += G) {
    const float* in_lane = in + lane * stride;
    for (std::int64_t k = 0; k < body; k += 4)
      transpose_x4<V, G>(panel + k * R + lane, R, in_lane + k, stride);
    for (std::int64_t k = body; k < K; ++k) {
      for (std::int64_t g = 0; g < G; ++g) panel[k * R + lane + g] = in_lane[g * stride + k];
    }
  }
  for (; lane < R; ++lane) {
    for (std::int64_t k = 0; k < K; ++k) panel[k * R + lane] = lane < lanes ? in[lane * stride + k] : 0.0f;
  }
}

template <class V, int R>
void gemm_pack(float* panels, std::int64_t stride, MatrixIn<float> source, std::int64_t lanes,
               std::int64_t K) noexcept {
  if (source.row_stride == 1) {
    return pack_copied<V, R>(panels, stride, source.data, source.col_stride, lanes, K);
  }
  for (std::int64_t lane = 0; lane < lanes; lane += R) {
    const std::int64_t here = lanes - lane < R ? lanes - lane : R;
    const float* in = source.data + lane * source.row_stride;
    pack_transposed<V, R>(panels + lane / R * stride, in, source.row_stride, here, K);
  }
}

}  // namespace inkling::simd
