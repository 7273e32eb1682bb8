// Y = X W^T with weights of 8 bits, for generating: a token reads every weight once and computes little with
// it, so a quarter of the bytes is a quarter of the time.
//
// Every row n of W (N,K), the weights of one output, has a scale of its own:
//   s_n  = max_k |w_nk| / 127
//   q_nk = round(w_nk / s_n), a whole number from -127 to 127
//   y_n  = s_n sum_k x_k q_nk + b_n
// so each weight is off by at most s_n / 2. A scale for a row, not for the matrix: rows differ in size by
// much more than the numbers within one, and a row's scale leaves the sum.
//
// x is f32, and so is the sum. Where the CPU multiplies whole numbers of 8 bits (AVX512-VNNI), each row of X
// becomes whole numbers of two digits to the base 256,
//   t   = max_k |x_k| / 32639
//   x_k = t (256 h_k + l_k), both digits from -128 to 127
//   y_n = s_n t (256 sum_k h_k q_nk + sum_k l_k q_nk) + b_n
// and x_k is off by at most t / 2, a 65000th of the row's largest: nothing beside what q is off. The two sums
// are whole numbers of 32 bits and exact.
//
// Layout: panels of 64 rows of W, [N/64][K/4][64][4], padded with zeros. So one 32-bit place holds the
// weights of one output and four neighbours of x, which that instruction sums at once, and W is read from
// front to back, once, as 64 sums run along. With many rows of X (a prompt) a panel stays in the cache while
// they pass by, a few at a time.
//
// A row of Y has the same bits however many others there are.
#pragma once

#include <cstdint>

namespace inkling {

constexpr std::int64_t kInt8Panel = 64;
constexpr std::int64_t kInt8Quad = 4;                       // neighbours along K
constexpr std::int64_t kInt8MostK = std::int64_t{1} << 16;  // for which sums fit 32 bits

// Bytes that W (N,K) takes.
std::int64_t int8_bytes(std::int64_t N, std::int64_t K);

// Where q_nk lies.
constexpr std::int64_t int8_place(std::int64_t n, std::int64_t k, std::int64_t K) {
  const std::int64_t quads = (K + kInt8Quad - 1) / kInt8Quad;
  const std::int64_t quad = n / kInt8Panel * quads + k / kInt8Quad;
  return (quad * kInt8Panel + n % kInt8Panel) * kInt8Quad + k % kInt8Quad;
}

// Rows [begin, end) of W (N,K) into q as laid out above and scales (N). One thread. What pads q is left as it
// is: zero. The scale of a row with a weight that is no finite number is infinite.
void quantise_int8(std::int8_t* q, float* scales, const float* W, std::int64_t K, std::int64_t begin,
                   std::int64_t end);

// W, as quantise_int8() left it.
struct Int8Matrix {
  const std::int8_t* q = nullptr;
  const float* scales = nullptr;
  std::int64_t N = 0, K = 0;
};

// Y (M,N) = X (M,K) W^T (+ bias (N)) (+ addend (M,N)). addend may be Y. Uses all threads. Error when K is
// more than kInt8MostK.
void gemv_int8(float* Y, const float* X, const Int8Matrix& W, std::int64_t M, const float* bias,
               const float* addend);

namespace reference {

template <class T>  // double, with W as quantise_int8() left it and X as it is
void gemv_int8(T* Y, const T* X, const std::int8_t* q, const T* scales, std::int64_t M, std::int64_t N,
               std::int64_t K, const T* bias, const T* addend);

}  // namespace reference

}  // namespace inkling
