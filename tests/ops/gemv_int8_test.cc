// Weights of 8 bits: quantise_int8 rounds to the nearest number, and gemv_int8 computes the formula of its
// header.
#include "ops/gemm/gemv_int8.h"

#include <limits>

#include "core/parallel.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// f32 sums of up to 768 products of size 50 or less, compared with double. Sums of rows in other ops have
// errors of the same size.
constexpr Tolerance kFloatTolerance{2e-5, 2e-5};
// Some kernels round x to whole numbers of 16 bits. Each of them is off by up to 1/65000 of the largest |x|,
// which is about 4 here.
constexpr Tolerance kDigitsTolerance{2e-4, 2e-5};
Tolerance tolerance() {
  return rounds_int8_inputs() ? kDigitsTolerance : kFloatTolerance;
}

struct Case {
  std::int64_t M, N, K;
  std::vector<float> x, w, bias, addend, scales;
  std::vector<std::int8_t> q;
  std::vector<double> y, y_plain;  // with and without bias and addend

  Case(std::int64_t M_, std::int64_t N_, std::int64_t K_)
      : M(M_), N(N_), K(K_), x(random_floats(M * K, 1)), w(random_floats(N * K, 2, 0.02)) {
    bias = random_floats(N, 3), addend = random_floats(M * N, 4);
    scales.resize(static_cast<std::size_t>(N));
    q.resize(static_cast<std::size_t>(int8_bytes(N, K)));
    quantise_int8(q.data(), scales.data(), w.data(), K, 0, N / 2);
    quantise_int8(q.data(), scales.data(), w.data(), K, N / 2, N);
    y.resize(addend.size()), y_plain.resize(addend.size());
    reference::gemv_int8({y.data(), N, bias.data(), as_doubles(addend).data()}, as_doubles(x).data(),
                         matrix(), M);
    reference::gemv_int8({y_plain.data(), N}, as_doubles(x).data(), matrix(), M);
  }
  Int8Matrix matrix() const { return {q.data(), scales.data(), N, K}; }
};

TEST_CASE(
    "gemv_int8: a weight is off by at most half a scale, and the largest of each row becomes 127 or -127") {
  const Case c(1, 130, 37);
  for (std::int64_t n = 0; n < c.N; ++n) {
    const double s = static_cast<double>(c.scales[static_cast<std::size_t>(n)]);
    int largest = 0;
    for (std::int64_t k = 0; k < c.K; ++k) {
      const int q = c.q[static_cast<std::size_t>(int8_place(n, k, c.K))];
      largest = std::max(largest, std::abs(q));
      const double w = static_cast<double>(c.w[static_cast<std::size_t>(n * c.K + k)]);
      CHECK(std::abs(w - s * q) <= 0.5 * s * (1 + 1e-5));
    }
    CHECK(largest == 127);
  }
  for (std::int64_t k = 0; k < c.K; ++k) {  // the last panel has two rows of W, its other rows are zero
    for (std::int64_t n = 2; n < 64; ++n)
      CHECK(c.q[static_cast<std::size_t>(int8_place(2 * 64 + n, k, c.K))] == 0);
  }
}

TEST_CASE("gemv_int8: rows of zeros or denormals become zeros; a row with NaN or inf has an infinite scale") {
  std::vector<float> w(6, 0.0f), scales(3);
  std::vector<std::int8_t> q(static_cast<std::size_t>(int8_bytes(3, 2)), 99);
  w[2] = w[3] = std::numeric_limits<float>::denorm_min();
  w[4] = std::numeric_limits<float>::max(), w[5] = -w[4];
  quantise_int8(q.data(), scales.data(), w.data(), 2, 0, 3);
  const auto at = [&](std::int64_t n, std::int64_t k) {
    return q[static_cast<std::size_t>(int8_place(n, k, 2))];
  };
  for (std::int64_t n : {0, 1}) CHECK((at(n, 0) == 0 && at(n, 1) == 0));
  CHECK((at(2, 0) == 127 && at(2, 1) == -127));
  for (float bad : {NAN, INFINITY, -INFINITY}) {
    w[3] = bad;
    quantise_int8(q.data(), scales.data(), w.data(), 2, 0, 3);
    CHECK(std::isinf(scales[1]));
    CHECK(std::isfinite(scales[0] + scales[2]));
  }
}

TEST_CASE("gemv_int8: every instruction set agrees with the reference at odd shapes") {
  for_each_isa([] {
    for (std::int64_t M : {1, 2, 3, 4, 5, 7, 13}) {
      for (std::int64_t N : {1, 3, 15, 17, 63, 64, 65, 130}) {
        for (std::int64_t K : {1, 2, 31, 100, 768}) {
          INFO("M = " << M << ", N = " << N << ", K = " << K);
          const Case c(M, N, K);
          Guarded x(c.x, K % 5), bias(c.bias, N % 3), y(M * N, N % 7), in_place(c.addend, K % 3);
          gemv_int8({y.data(), N}, rows<float>(x.data(), K), c.matrix(), M);
          const MatrixOut<float> added{in_place.data(), N, bias.data(), in_place.data()};
          gemv_int8(added, rows<float>(x.data(), K), c.matrix(), M);
          check_close("y", y.values(), c.y_plain, tolerance());
          check_close("y with bias and addend", in_place.values(), c.y, tolerance());
          y.check();
          in_place.check();
        }
      }
    }
  });
}

TEST_CASE("gemv_int8: NaN or inf in X reaches every result; rows of zeros or tiny numbers give the bias") {
  for_each_isa([] {
    const Case c(1, 70, 100);
    std::vector<float> y(c.addend.size());
    for (const float bad : {NAN, INFINITY, -INFINITY}) {
      for (const std::size_t k : {0u, 50u, 99u}) {
        std::vector<float> x = c.x;
        x[k] = bad;
        gemv_int8({y.data(), c.N}, rows(x.data(), c.K), c.matrix(), 1);
        for (float v : y) CHECK_FALSE(std::isfinite(v));
      }
    }
    for (const float tiny : {0.0f, std::numeric_limits<float>::denorm_min(), 1e-35f}) {
      const std::vector<float> x(c.x.size(), tiny);
      gemv_int8({y.data(), c.N, c.bias.data()}, rows(x.data(), c.K), c.matrix(), 1);
      for (std::size_t n = 0; n < y.size(); ++n) CHECK(y[n] == c.bias[n]);
    }
  });
}

TEST_CASE("gemv_int8: rows so long that a sum might not fit 32 bits are refused") {
  const Int8Matrix too_long{nullptr, nullptr, 1, kInt8MostK + 1};
  CHECK_THROWS_WITH(gemv_int8({}, {}, too_long, 1),
                    contains("W is (1, 65537), expected at most 65536 columns"));
}

TEST_CASE("gemv_int8: a row has the same bits alone and among other rows, on one thread and on three") {
  const RestoreThreads restore;
  for_each_isa([] {
    const Case c(400, 200, 96);  // more rows than one task takes
    std::vector<float> all(c.addend.size());
    set_threads(3);
    gemv_int8({all.data(), c.N, c.bias.data()}, rows(c.x.data(), c.K), c.matrix(), c.M);
    set_threads(1);
    for (std::int64_t m : {0, 1, 5, 6, 191, 192, 399}) {
      std::vector<float> row(static_cast<std::size_t>(c.N));
      gemv_int8({row.data(), c.N, c.bias.data()}, rows(c.x.data() + m * c.K, c.K), c.matrix(), 1);
      CHECK(std::equal(row.begin(), row.end(), all.begin() + m * c.N));
    }
  });
}

TEST_CASE("gemv_int8: for K = 0 the result is the bias") {
  for_each_isa([] {
    const std::vector<float> bias = random_floats(70, 1), scales(70, 0.0f);
    const std::int8_t nothing = 0;
    Guarded y(2 * 70, 0, NAN);
    gemv_int8({y.data(), 70, bias.data()}, {}, {&nothing, scales.data(), 70, 0}, 2);
    for (std::int64_t i = 0; i < 140; ++i) REQUIRE(y.data()[i] == bias[static_cast<std::size_t>(i % 70)]);
    y.check();
  });
}

}  // namespace
}  // namespace inkling
