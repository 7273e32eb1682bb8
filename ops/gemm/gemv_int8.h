// Y = X W^T with weights of 8 bits, for generating. Each new token reads every weight once and computes
// little with it, so a quarter of the bytes takes a quarter of the time.
//
// Each row n of W (N,K), the weights of one output, has its own scale:
//   s_n  = max_k |w_nk| / 127
//   q_nk = round(w_nk / s_n), a whole number from -127 to 127
//   y_n  = s_n sum_k x_k q_nk + b_n
// so the error of a weight is at most s_n / 2. There is a scale for each row, not one for the matrix, because
// rows differ in size much more than the numbers within a row; and a row's scale can be multiplied after the
// sum.
//
// x and the sum are f32. Where the CPU multiplies 8-bit integers (AVX512-VNNI), each row of X is turned into
// integers with two digits in base 256,
//   t   = max_k |x_k| / 32639
//   x_k = t (256 h_k + l_k), both digits from -128 to 127
//   y_n = s_n t (256 sum_k h_k q_nk + sum_k l_k q_nk) + b_n
// and the error of x_k is at most t / 2, 1/65000 of the row's largest number: much less than the error of q.
// The two sums are exact 32-bit integers.
//
// Layout: panels of 64 rows of W, [N/64][K/4][64][4], padded with zeros. One 32-bit lane holds four weights
// of one output, for four neighbours of x; with AVX512-VNNI, one instruction sums the four products. W is
// read once, from front to back, and 64 sums are kept meanwhile. With many rows of X (a prompt), a panel
// stays in the cache while it is multiplied with all rows, a few at a time.
//
// A row of Y has the same bits, however many rows are computed together.
//
// In generation with 8-bit weights this runs as int8_digits and gemv_int8_dot in
// ops/gemm/gemv_int8_dot_simd.h, or without AVX512-VNNI as int8_floats and gemv_int8 in
// ops/gemm/gemv_int8_simd.h. Training does not use it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ops/gemm/operands.h"

namespace inkling {

constexpr std::int64_t kInt8Panel = 64;
constexpr std::int64_t kInt8Quad = 4;                       // neighbours along K
constexpr std::int64_t kInt8MostK = std::int64_t{1} << 16;  // the largest K whose sums fit into 32 bits

// The size of a quantised W (N,K).
std::int64_t int8_bytes(std::int64_t N, std::int64_t K);

// The index of q_nk in the layout of panels that is described above.
constexpr std::int64_t int8_place(std::int64_t n, std::int64_t k, std::int64_t K) {
  const std::int64_t quads = (K + kInt8Quad - 1) / kInt8Quad;
  const std::int64_t quad = n / kInt8Panel * quads + k / kInt8Quad;
  return (quad * kInt8Panel + n % kInt8Panel) * kInt8Quad + k % kInt8Quad;
}

// Quantises rows [begin, end) of W (N,K) into q, in the layout above, and scales (N). Runs on one thread. The
// padding of q is not written; it must be zero. A row with an infinite or NaN weight gets an infinite scale.
void quantise_int8(std::int8_t* q, float* scales, const float* W, std::int64_t K, std::int64_t begin,
                   std::int64_t end);

// A view of the result of quantise_int8().
struct Int8Matrix {
  const std::int8_t* q = nullptr;
  const float* scales = nullptr;
  std::int64_t N = 0, K = 0;
};

// One panel of W, as the kernel takes it: its first `columns` outputs are used. scales (columns).
struct Int8Panel {
  const std::int8_t* q;
  const float* scales;
  std::int64_t columns;
};

// Rows of X that the kernel int8_input has prepared, `stride` bytes apart.
struct Int8Rows {
  const std::byte* data;
  std::int64_t stride;
};

// Y (M,N) = X (M,K) W^T (+ bias) (+ addend). Rows of X are contiguous. Uses all threads. Error if K is larger
// than kInt8MostK.
void gemv_int8(const MatrixOut<float>& Y, const MatrixIn<float>& X, const Int8Matrix& W, std::int64_t M);

namespace reference {

// Y and X are contiguous. X is not rounded.
void gemv_int8(const MatrixOut<double>& Y, const double* X, const Int8Matrix& W, std::int64_t M);

}  // namespace reference

}  // namespace inkling
