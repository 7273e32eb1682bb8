// Checks of matrix products without a tolerance. The factors are small whole numbers. They are exact in bf16,
// and every product and every sum is exact in float, in any order of addition. So a result is either exactly
// right or wrong, for matrices of any size.
//
// A large product is checked with Freivalds' method: if C = A B, then C u = A (B u) for a vector u of random
// numbers. The check misses a wrong row with a probability below 1 in 1000. It reads each matrix once.
#pragma once

#include "tests/support.h"

namespace inkling::test {

// n whole numbers from -4 to 4. A sum of K products is at most 16 K: exact in float up to K = 2^20.
inline std::vector<float> whole_numbers(std::int64_t n, std::uint64_t seed) {
  Rng rng(seed, 78);
  std::vector<float> values(static_cast<std::size_t>(n));
  for (float& v : values)
    v = static_cast<float>(rng.next() >> 32 & 7) - static_cast<float>(4 - (rng.next() & 1));
  return values;
}

// A view of a matrix: element (i, j) is data[i * row_stride + j * col_stride].
struct Elements {
  const float* data;
  std::int64_t row_stride, col_stride;

  double at(std::int64_t i, std::int64_t j) const {
    return static_cast<double>(data[i * row_stride + j * col_stride]);
  }
  Elements transposed() const { return {data, col_stride, row_stride}; }
};
inline Elements by_rows(const std::vector<float>& values, std::int64_t columns) {
  return {values.data(), columns, 1};
}

// The expected result of a matrix product: A (M,K) B (K,N) (+ bias (N)) (+ addend (M,N)).
struct ExpectedProduct {
  Elements A, B;
  std::int64_t M, N, K;
  const float* bias = nullptr;
  const float* addend = nullptr;  // rows are N apart

  double element(std::int64_t m, std::int64_t n) const {
    double sum = bias == nullptr ? 0.0 : static_cast<double>(bias[n]);
    if (addend != nullptr) sum += static_cast<double>(addend[m * N + n]);
    for (std::int64_t k = 0; k < K; ++k) sum += A.at(m, k) * B.at(k, n);
    return sum;
  }
};

// M u, for a matrix M (rows, columns).
inline std::vector<double> times_vector(const Elements& matrix, std::int64_t rows, std::int64_t columns,
                                        const std::vector<double>& u) {
  std::vector<double> result(static_cast<std::size_t>(rows));
  if (matrix.col_stride == 1) {
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j)
        result[static_cast<std::size_t>(i)] += matrix.at(i, j) * u[static_cast<std::size_t>(j)];
    }
  } else {
    for (std::int64_t j = 0; j < columns; ++j) {
      for (std::int64_t i = 0; i < rows; ++i)
        result[static_cast<std::size_t>(i)] += matrix.at(i, j) * u[static_cast<std::size_t>(j)];
    }
  }
  return result;
}

// Checks that C (M,N) equals `want` exactly, and reports the first wrong element. The rows of C are ldc
// floats apart.
inline void check_exact(const std::string& what, const float* C, std::int64_t ldc,
                        const ExpectedProduct& want) {
  Rng rng(5, 79);
  std::vector<double> u(static_cast<std::size_t>(want.N));
  for (double& v : u) v = 1 + static_cast<double>(rng.below(2000));
  double bias_u = 0;
  for (std::int64_t n = 0; n < want.N && want.bias != nullptr; ++n)
    bias_u += static_cast<double>(want.bias[n]) * u[static_cast<std::size_t>(n)];
  const std::vector<double> expected =
      times_vector(want.A, want.M, want.K, times_vector(want.B, want.K, want.N, u));
  const std::vector<double> got = times_vector({C, ldc, 1}, want.M, want.N, u);
  std::vector<double> addend_u(static_cast<std::size_t>(want.M));
  if (want.addend != nullptr) addend_u = times_vector({want.addend, want.N, 1}, want.M, want.N, u);
  for (std::int64_t m = 0; m < want.M; ++m) {
    const auto i = static_cast<std::size_t>(m);
    if (got[i] == expected[i] + bias_u + addend_u[i]) continue;
    for (std::int64_t n = 0; n < want.N; ++n) {
      const double c = static_cast<double>(C[m * ldc + n]), element = want.element(m, n);
      if (c == element) continue;
      FAIL_CHECK(what << "(" << m << ", " << n << ") is " << c << ", expected " << element);
      return;
    }
    FAIL_CHECK(what << ": the check of row " << m << " fails, but each of its elements is right");
    return;
  }
  CHECK(true);
}
inline void check_exact(const std::string& what, const std::vector<float>& C, const ExpectedProduct& want) {
  REQUIRE(static_cast<std::int64_t>(C.size()) == want.M * want.N);
  check_exact(what, C.data(), want.N, want);
}

}  // namespace inkling::test
