// Matrix multiplication: reference -> packed kernels on every instruction set -> the driver on threads.
#include "ops/gemm/gemm.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/parallel.h"
#include "tests/fenced.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

using Floats = std::vector<float>;

// A sum of K products of standard normals has size about sqrt(K) and at most K roundings.
Tolerance tolerance_for(std::int64_t K) {
  return {4e-7 * (2 + static_cast<double>(K)), 1e-6};
}

// How a matrix is stored: its rows or its columns are contiguous, with `gap` unused floats between them.
struct Layout {
  bool rows_contiguous;
  std::int64_t gap;
};

MatrixIn<float> lay_out(Floats& memory, const std::vector<double>& values, std::int64_t M, std::int64_t N,
                        Layout layout) {
  const std::int64_t ld = (layout.rows_contiguous ? N : M) + layout.gap;
  memory.assign(static_cast<std::size_t>((layout.rows_contiguous ? M : N) * ld), NAN);
  const MatrixIn<float> view{memory.data(), layout.rows_contiguous ? ld : 1, layout.rows_contiguous ? 1 : ld};
  for (std::int64_t i = 0; i < M; ++i) {
    for (std::int64_t j = 0; j < N; ++j) {
      memory[static_cast<std::size_t>(i * view.row_stride + j * view.col_stride)] =
          static_cast<float>(values[static_cast<std::size_t>(i * N + j)]);
    }
  }
  return view;
}

struct Case {
  std::int64_t M, N, K;
  std::vector<double> A, B, bias, before;

  Case(std::int64_t M_, std::int64_t N_, std::int64_t K_) : M(M_), N(N_), K(K_) {
    // doubles that float can hold, so that float kernels get exactly the same input
    A = as_doubles(random_floats(M * K, 1)), B = as_doubles(random_floats(K * N, 2));
    bias = as_doubles(random_floats(N, 3)), before = as_doubles(random_floats(M * N, 4));
  }

  std::vector<double> expected(bool with_bias, bool accumulate) const {
    std::vector<double> C = before;
    reference::gemm(C.data(), A.data(), B.data(), M, N, K, with_bias ? bias.data() : nullptr, accumulate);
    return C;
  }

  // Runs gemm() with a C whose rows are `gap` floats longer than needed, and checks that gemm does not change
  // these floats.
  Floats run(Layout a, Layout b, bool with_bias, bool accumulate, std::int64_t gap = 0) const {
    Floats a_memory, b_memory;
    const MatrixIn<float> a_view = lay_out(a_memory, A, M, K, a), b_view = lay_out(b_memory, B, K, N, b);
    const Floats bias_f(bias.begin(), bias.end());
    const std::int64_t ldc = N + gap;
    Guarded C(M * ldc, 3, -7.0f);
    for (std::int64_t m = 0; m < M && accumulate; ++m) {
      std::copy_n(before.begin() + m * N, N, C.data() + m * ldc);
    }
    gemm({C.data(), ldc, with_bias ? bias_f.data() : nullptr, accumulate ? C.data() : nullptr}, a_view,
         b_view, {M, N, K});
    C.check();
    Floats result;
    for (std::int64_t m = 0; m < M; ++m) {
      const float* row = C.data() + m * ldc;
      result.insert(result.end(), row, row + N);
      CHECK(std::all_of(row + N, row + ldc, [](float x) { return x == -7.0f; }));
    }
    return result;
  }
};

constexpr std::array<Layout, 2> kLayouts{{{true, 0}, {false, 3}}};

TEST_CASE("gemm: every instruction set agrees with the reference for every layout, bias and accumulation") {
  // Sizes around the tiles (8 x 48, 4 x 24, 4 x 8, 4 x 4). K is around the number of steps of the inner
  // loops.
  const std::int64_t shapes[][3] = {{1, 1, 1},   {5, 1, 3},    {5, 7, 1},    {8, 48, 8},    {9, 49, 9},
                                    {7, 47, 7},  {16, 24, 17}, {3, 50, 33},  {50, 3, 33},   {25, 97, 31},
                                    {97, 25, 4}, {6, 17, 40},  {64, 96, 16}, {33, 65, 100}, {130, 20, 5}};
  for_each_isa([&] {
    for (const auto& [M, N, K] : shapes) {
      INFO("M = " << M << ", N = " << N << ", K = " << K);
      const Case c(M, N, K);
      for (Layout a : kLayouts) {
        for (Layout b : kLayouts) {
          for (int mode = 0; mode < 4; ++mode) {
            const bool with_bias = mode % 2 == 1, accumulate = mode / 2 == 1;
            check_close("C", c.run(a, b, with_bias, accumulate, mode), c.expected(with_bias, accumulate),
                        tolerance_for(K));
          }
        }
      }
    }
  });
}

TEST_CASE("gemm: sums over several blocks of k agree with the reference, in wide and in tall matrices") {
  const std::int64_t shapes[][3] = {{6, 60, 1600}, {60, 6, 1600}, {12, 50, 768}, {50, 12, 769}};
  for_each_isa([&] {
    for (const auto& [M, N, K] : shapes) {
      INFO("M = " << M << ", N = " << N << ", K = " << K);
      const Case c(M, N, K);
      for (Layout b : kLayouts) {
        check_close("C", c.run({true, 1}, b, true, true), c.expected(true, true), tolerance_for(K));
        check_close("C", c.run({false, 0}, b, true, false), c.expected(true, false), tolerance_for(K));
      }
    }
  });
}

TEST_CASE("gemm: the result is right if the packed side is so large that it is cut along k") {
  const std::int64_t M = 1100, N = 1200, K = 1600;  // M rows of K floats are more than gemm packs at once
  const Case c(M, N, K);
  const Floats C = c.run({true, 0}, {true, 0}, true, false);
  const std::vector<double> column = as_doubles(random_floats(N, 9));
  for (std::int64_t m : {0, 1, 549, 1099}) {  // check these rows: C u = A (B u) + bias . u
    double got = 0, want = 0;
    for (std::int64_t n = 0; n < N; ++n) {
      const auto i = static_cast<std::size_t>(n);
      got += static_cast<double>(C[static_cast<std::size_t>(m * N + n)]) * column[i];
      want += c.bias[i] * column[i];
    }
    for (std::int64_t k = 0; k < K; ++k) {
      double b_u = 0;
      for (std::int64_t n = 0; n < N; ++n) {
        b_u += c.B[static_cast<std::size_t>(k * N + n)] * column[static_cast<std::size_t>(n)];
      }
      want += c.A[static_cast<std::size_t>(m * K + k)] * b_u;
    }
    CHECK(std::abs(got - want) <= 1e-5 * std::sqrt(static_cast<double>(K * N)));
  }
}

TEST_CASE("gemm: for K = 0 the result is the bias; for M = 0 or N = 0 nothing is read or written") {
  const Case c(3, 5, 0);
  for (bool accumulate : {false, true}) {
    for (bool with_bias : {false, true}) {
      check_close("C", c.run({true, 0}, {true, 0}, with_bias, accumulate), c.expected(with_bias, accumulate),
                  {0, 1e-7});
    }
  }
  gemm({}, {}, {}, {0, 5, 3});
  gemm({}, {}, {}, {5, 0, 3});
}

TEST_CASE("gemm: NaN and infinity reach the elements whose sums contain them, and no others") {
  for_each_isa([] {
    Case c(9, 50, 20);
    c.A[2 * 20 + 5] = NAN;                                       // row 2
    c.B[7 * 50 + 49] = std::numeric_limits<double>::infinity();  // column 49, the only column of its panel
    const Floats C = c.run({true, 0}, {false, 0}, false, false);
    for (std::int64_t m = 0; m < 9; ++m) {
      for (std::int64_t n = 0; n < 50; ++n) {
        const float x = C[static_cast<std::size_t>(m * 50 + n)];
        CHECK(std::isnan(x) == (m == 2));
        if (m != 2) CHECK(std::isinf(x) == (n == 49));
      }
    }
  });
}

TEST_CASE("gemm: a few rows times a transposed matrix take another code path and agree with the reference") {
  for_each_isa([] {
    for (std::int64_t K : odd_sizes()) {
      for (std::int64_t M : {1, 2, 3, 4, 7, 16}) {
        const std::int64_t N = K % 11 + 1;
        INFO("M = " << M << ", N = " << N << ", K = " << K);
        const Case c(M, N, K);
        const Floats streamed = c.run({true, 0}, {false, 0}, true, true, 1);
        const Floats packed = c.run({true, 0}, {true, 0}, true, true, 1);
        check_close("C", streamed, c.expected(true, true), tolerance_for(K));
        check_close("C, packed", streamed, packed, tolerance_for(K));
      }
    }
  });
}

TEST_CASE("gemm: each of a few rows has the same bits as when it is multiplied alone") {
  for_each_isa([] {
    const std::int64_t N = 77, K = 100;
    const Floats w = random_floats(N * K, 1), x = random_floats(kGemvRows * K, 2);
    const MatrixIn<float> W = rows(w.data(), K).transposed();
    for (std::int64_t M = 1; M <= kGemvRows; ++M) {
      Floats together(static_cast<std::size_t>(M * N)), alone(together.size());
      gemm({together.data(), N}, rows(x.data(), K), W, {M, N, K});
      for (std::int64_t m = 0; m < M; ++m) {
        gemm({alone.data() + m * N, N}, rows(x.data() + m * K, K), W, {1, N, K});
      }
      CHECK(std::memcmp(together.data(), alone.data(), alone.size() * sizeof(float)) == 0);
    }
  });
}

// Packs a matrix (lanes, K) into panels of R lanes, with a gap of 16 floats between two panels. If `copied`,
// the lanes of a step of k are contiguous in memory; otherwise the steps of a lane are.
void check_packing(decltype(GemmKernels::pack_a) pack, std::int64_t R, std::int64_t lanes, bool copied) {
  constexpr std::int64_t kGap = 16;
  const std::int64_t K = lanes % 7 + 3, panels = (lanes + R - 1) / R, stride = R * K + kGap;
  INFO("R = " << R << ", lanes = " << lanes << ", lanes are contiguous: " << copied);
  const Floats source = random_floats(lanes * K, 5);  // a sanitizer finds reads past its end
  const MatrixIn<float> view{source.data(), copied ? 1 : K, copied ? lanes : 1};
  Guarded packed(panels * stride - kGap, 0, NAN);
  pack(packed.data(), stride, view, lanes, K);
  packed.check();
  for (std::int64_t i = 0; i < panels * stride - kGap; ++i) {
    const std::int64_t in_panel = i % stride, k = in_panel / R, lane = i / stride * R + in_panel % R;
    const float got = packed.data()[i];
    if (k >= K) {
      REQUIRE(std::isnan(got));  // the gap is not written
    } else {
      const std::int64_t place = lane * view.row_stride + k * view.col_stride;
      REQUIRE(got == (lane < lanes ? source[static_cast<std::size_t>(place)] : 0.0f));
    }
  }
}

TEST_CASE("gemm: packing writes every panel, with zeros in lanes past the end, and nothing outside") {
  for_each_isa([] {
    const GemmKernels& kernel = kernels().gemm;
    for (std::int64_t lanes : {1, 3, 8, 13, 50, 96, 97}) {
      for (bool copied : {false, true}) {
        check_packing(kernel.pack_a, kernel.MR, lanes, copied);
        check_packing(kernel.pack_b, kernel.NR, lanes, copied);
      }
    }
  });
}

// The operands lie next to memory pages that may not be touched. A read or write outside them ends the test.
TEST_CASE("gemm: kernels read and write nothing outside their operands") {
  const std::int64_t shapes[][3] = {{1, 1, 1},   {3, 5, 7},   {8, 48, 16}, {9, 49, 33},
                                    {50, 3, 17}, {1, 50, 64}, {5, 97, 1}};
  for_each_isa([&] {
    for (const auto& [M, N, K] : shapes) {
      INFO("M = " << M << ", N = " << N << ", K = " << K);
      const Case c(M, N, K);
      for (const Fence fence : {Fence::before, Fence::after}) {
        Fenced A(floats(c.A), fence), B(floats(c.B), fence), bias(floats(c.bias), fence),
            C(floats(c.before), fence);
        for (bool a_in_rows : {true, false}) {
          for (bool b_in_rows : {true, false}) {
            // Read by columns, the same memory is another matrix. These calls test only that gemm stays
            // inside it.
            const MatrixIn<float> a{A.data(), a_in_rows ? K : 1, a_in_rows ? 1 : M};
            const MatrixIn<float> b{B.data(), b_in_rows ? N : 1, b_in_rows ? 1 : K};
            gemm({C.data(), N, bias.data()}, a, b, {M, N, K});
            gemm(assign_or_add(C.data(), N, true), a, b, {M, N, K});
          }
        }
        gemm({C.data(), N, bias.data()}, rows<float>(A.data(), K), rows<float>(B.data(), N), {M, N, K});
        std::vector<double> want(c.before.size());
        reference::gemm(want.data(), c.A.data(), c.B.data(), M, N, K, c.bias.data(), false);
        check_close("C", C.values(), want, tolerance_for(K));
      }
    }
  });
}

TEST_CASE("gemm: 1, 2 and 4 threads give the same bits") {
  const RestoreThreads restore;
  const std::int64_t shapes[][3] = {{70, 500, 800}, {500, 70, 800}, {3, 3000, 64}, {200, 200, 3}};
  for (const auto& [M, N, K] : shapes) {
    const Case c(M, N, K);
    set_threads(1);
    const Floats one = c.run({true, 0}, {false, 0}, true, true);
    for (int count : {2, 4}) {
      set_threads(count);
      const Floats many = c.run({true, 0}, {false, 0}, true, true);
      CHECK(std::memcmp(one.data(), many.data(), one.size() * sizeof(float)) == 0);
    }
  }
}

}  // namespace
}  // namespace inkling
