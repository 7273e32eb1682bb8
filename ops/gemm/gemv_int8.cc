#include "ops/gemm/gemv_int8.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference ----

void reference::gemv_int8(const MatrixOut<double>& Y, const double* X, const Int8Matrix& W, std::int64_t M) {
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < W.N; ++n) {
      double sum = 0;
      for (std::int64_t k = 0; k < W.K; ++k) sum += X[m * W.K + k] * W.q[int8_place(n, k, W.K)];
      const std::int64_t at = m * Y.ld + n;
      Y.data[at] = static_cast<double>(W.scales[n]) * sum +
                   (Y.bias == nullptr ? 0 : static_cast<double>(Y.bias[n])) +
                   (Y.addend == nullptr ? 0 : Y.addend[at]);
    }
  }
}

// ---- The op ----

namespace {

// A task reads at least this many bytes of W. This takes 5 us if W is in memory; starting a task costs 1 us.
constexpr std::int64_t kTaskBytes = std::int64_t{1} << 17;
constexpr std::int64_t kTaskNumbers = std::int64_t{1} << 15;  // a task prepares about this many numbers of X
constexpr std::int64_t kMostRows = 192;  // rows of X in a task: about 600 KiB, so that they stay in L2

// Quantises one row of W into q. If the row contains a number that is not finite, neither is its scale.
void quantise_row(std::int8_t* q, float* scale, const float* w, std::int64_t K) {
  constexpr float kMost = 127.0f;
  float largest = 0.0f;
  bool finite = true;
  for (std::int64_t k = 0; k < K; ++k) {
    largest = std::max(largest, std::abs(w[k]));
    finite = finite && std::isfinite(w[k]);
  }
  *scale = finite ? largest / kMost : std::numeric_limits<float>::infinity();
  // If the scale is so small that its inverse would overflow, the row counts as zero.
  const bool is_zero = !finite || largest < kMost * std::numeric_limits<float>::min();
  const float inverse = is_zero ? 0.0f : kMost / largest;
  for (std::int64_t k = 0; k < K; ++k) {
    const float v = is_zero ? 0.0f : w[k] * inverse;
    q[int8_place(0, k, K)] = static_cast<std::int8_t>(v + (v < 0.0f ? -0.5f : 0.5f));
  }
}

// The size of a prepared row of X, large enough for both kernels. One kernel stores floats; the other stores
// two bytes for each number, and 12 bytes after them. Rows start at cache lines.
std::int64_t input_bytes(std::int64_t K) {
  constexpr std::int64_t kLine = 64, kFloat = 4;
  return ceil_div(K * kFloat, kLine) * kLine + kLine;
}

}  // namespace

std::int64_t int8_bytes(std::int64_t N, std::int64_t K) {
  return ceil_div(N, kInt8Panel) * kInt8Panel * ceil_div(K, kInt8Quad) * kInt8Quad;
}

void quantise_int8(std::int8_t* q, float* scales, const float* W, std::int64_t K, std::int64_t begin,
                   std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n) {
    quantise_row(q + int8_place(n, 0, K), scales + n, W + n * K, K);
  }
}

void gemv_int8(const MatrixOut<float>& Y, const MatrixIn<float>& X, const Int8Matrix& W, std::int64_t M) {
  if (W.K > kInt8MostK)
    fail("gemv_int8: W is (", W.N, ", ", W.K, "), expected at most ", kInt8MostK, " columns");
  const std::int64_t stride = input_bytes(W.K);
  const Workspace inputs(static_cast<std::size_t>(M * stride));
  parallel_for(M, ceil_div(kTaskNumbers, std::max<std::int64_t>(1, W.K)),
               [&](std::int64_t m, std::int64_t end) {
                 for (; m < end; ++m)
                   kernels().int8_input(inputs.bytes() + m * stride, X.data + m * X.row_stride, W.K);
               });
  const std::int64_t panels = ceil_div(W.N, kInt8Panel), panel_bytes = int8_bytes(kInt8Panel, W.K);
  const std::int64_t group = std::max<std::int64_t>(1, kTaskBytes / std::max<std::int64_t>(1, panel_bytes));
  const std::int64_t groups = ceil_div(panels, group);
  parallel_chunks(groups * ceil_div(M, kMostRows), [&](std::int64_t task) {
    const std::int64_t row = task / groups * kMostRows, rows = std::min(kMostRows, M - row);
    const std::int64_t begin = task % groups * group, end = std::min(panels, begin + group);
    for (std::int64_t panel = begin; panel < end; ++panel) {
      const std::int64_t n = panel * kInt8Panel;
      const Int8Panel w{W.q + panel * panel_bytes, W.scales + n, std::min(kInt8Panel, W.N - n)};
      kernels().gemv_int8(Y.from(row, n), {inputs.bytes() + row * stride, stride}, w, rows, W.K);
    }
  });
}

}  // namespace inkling
