// Matrix multiplication in bf16: the reference on rounded factors -> every micro-kernel -> the driver on
// threads.
#include "ops/gemm/gemm_bf16.h"

#include <algorithm>

#include "core/memory.h"
#include "core/parallel.h"
#include "ops/gemm/gemm.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The product of two bf16 is exact in f32. A sum of K products has at most K roundings, each of a sum of size
// about sqrt(K).
Tolerance tolerance_for(std::int64_t K) {
  return {4e-7 * (2 + static_cast<double>(K)), 1e-6};
}

struct Case {
  std::int64_t M, N, K;
  std::vector<float> A, B, bias, before;
  std::vector<double> sums;  // A B, of the rounded factors

  Case(std::int64_t M_, std::int64_t N_, std::int64_t K_)
      : M(M_),
        N(N_),
        K(K_),
        A(random_floats(M * K, 1)),
        B(random_floats(K * N, 2)),
        bias(random_floats(N, 3)),
        before(random_floats(M * N, 4)),
        sums(static_cast<std::size_t>(M * N)) {
    reference::gemm<double>(sums.data(), as_doubles(widened(to_bf16(A))).data(),
                            as_doubles(widened(to_bf16(B))).data(), M, N, K, nullptr, false);
  }
  double expected(std::int64_t m, std::int64_t n, bool with_bias, bool with_addend) const {
    const auto at = static_cast<std::size_t>(m * N + n);
    return sums[at] + (with_bias ? static_cast<double>(bias[static_cast<std::size_t>(n)]) : 0.0) +
           (with_addend ? static_cast<double>(before[at]) : 0.0);
  }
};

void convert(std::vector<float>& to, const std::vector<float>& from) {
  to = from;
}
void convert(std::vector<bf16>& to, const std::vector<float>& from) {
  to = to_bf16(from);
}

// A copy of the matrix `values` (rows, columns), stored by rows or by columns. T is float or bf16.
template <class T>
struct Stored {
  std::vector<T> numbers;
  MatrixIn<T> view;

  Stored(const std::vector<float>& values, std::int64_t rows, std::int64_t columns, bool by_rows) {
    std::vector<float> ordered(values.size());
    for (std::int64_t i = 0; i < rows; ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        ordered[static_cast<std::size_t>(by_rows ? i * columns + j : j * rows + i)] =
            values[static_cast<std::size_t>(i * columns + j)];
      }
    }
    convert(numbers, ordered);
    view = {numbers.data(), by_rows ? columns : 1, by_rows ? 1 : rows};
  }
};

TEMPLATE_TEST_CASE("bf16 gemm: every instruction set agrees with the reference for every layout and dtype",
                   "", float, bf16) {
  // Sizes around tiles of 16 lanes and 32 numbers of k, panels of 48 columns, and blocks of 12 tiles (384
  // numbers) of k.
  const std::int64_t shapes[][3] = {{1, 1, 1},    {5, 7, 3},    {16, 48, 32},   {17, 49, 33},  {15, 47, 31},
                                    {33, 97, 64}, {64, 16, 96}, {40, 100, 385}, {100, 33, 800}};
  for_each_isa([&] {
    for (const auto& [M, N, K] : shapes) {
      INFO("M = " << M << ", N = " << N << ", K = " << K);
      const Case c(M, N, K);
      for (int mode = 0; mode < 8; ++mode) {
        const Stored<TestType> a(c.A, M, K, (mode & 1) == 0), b(c.B, K, N, (mode & 2) == 0);
        const bool extras = (mode & 4) != 0;  // bias and addend
        const std::int64_t ld = N + 3;
        Guarded C(M * ld, 1, -7.0f);
        for (std::int64_t i = 0; i < M * N; ++i) {
          C.data()[i / N * ld + i % N] = c.before[static_cast<std::size_t>(i)];
        }
        const MatrixOut<float> out{C.data(), ld, extras ? c.bias.data() : nullptr,
                                   extras ? C.data() : nullptr};
        gemm_bf16(out, a.view, b.view, {M, N, K});
        C.check();
        std::vector<float> got;
        std::vector<double> want;
        for (std::int64_t m = 0; m < M; ++m) {
          for (std::int64_t n = 0; n < ld; ++n) {
            got.push_back(C.data()[m * ld + n]);
            want.push_back(n < N ? c.expected(m, n, extras, extras) : -7.0);
          }
        }
        check_close("C", std::span<const float>(got), std::span<const double>(want), tolerance_for(K));
      }
    }
  });
}

// B, packed before the product. Whole tiles may then be stored at once.
class Packed {
 public:
  template <class T>
  Packed(const MatrixIn<T>& B, std::int64_t K, std::int64_t N)
      : memory_(static_cast<std::size_t>(packed_b_count(N, K)) * sizeof(bf16)) {
    pack_b(data(), B, K, N);
  }
  bf16* data() const { return reinterpret_cast<bf16*>(memory_.data()); }

 private:
  Pages memory_;
};

TEST_CASE("bf16 gemm: a result that is streamed past the caches has the same bits as one that is not") {
  const std::int64_t M = 40;
  for_each_isa([&] {
    // Whole and partial runs of panels, and partial cache lines.
    for (const std::int64_t N : {9 * 48 + 16, 4 * 48, 101}) {
      for (const std::int64_t K : {64, 1100}) {
        INFO("N = " << N << ", K = " << K);
        const Case c(M, N, K);
        const Stored<bf16> a(c.A, M, K, true), b(c.B, K, N, true);
        for (const bool adds : {false, true}) {
          std::vector<float> kept = c.before;
          const Pages memory(kept.size() * sizeof(float));
          auto* streamed = reinterpret_cast<float*>(memory.data());
          std::copy(kept.begin(), kept.end(), streamed);
          MatrixOut<float> past_caches = assign_or_add(streamed, N, adds);
          past_caches.stream = true;
          gemm_bf16(assign_or_add(kept.data(), N, adds), a.view, b.view, {M, N, K});
          gemm_bf16(past_caches, a.view, b.view, {M, N, K});
          REQUIRE(std::equal(kept.begin(), kept.end(), streamed));
        }
      }
    }
  });
}

TEST_CASE("bf16 gemm: with B packed before, the bf16 result is the f32 result of unpacked B rounded once") {
  const std::int64_t M = 37, N = 75, K = 100;
  const Case c(M, N, K);
  const std::vector<bf16> before = to_bf16(c.before);
  for_each_isa([&] {
    const Stored<bf16> a(c.A, M, K, true);
    const Stored<float> b(c.B, K, N, false);
    const Packed packed(b.view, K, N);
    std::vector<float> sums(static_cast<std::size_t>(M * N));
    gemm_bf16(MatrixOut<float>{sums.data(), N, c.bias.data()}, a.view, b.view, {M, N, K});
    std::vector<bf16> plain(sums.size()), added = before;
    const MatrixOut<bf16> to_plain{plain.data(), N, c.bias.data()},
        to_added{added.data(), N, c.bias.data(), added.data()};
    gemm_bf16(to_plain, a.view, packed.data(), {M, N, K});
    gemm_bf16(to_added, a.view, packed.data(), {M, N, K});
    for (std::size_t i = 0; i < sums.size(); ++i) {
      REQUIRE(plain[i].bits == to_bf16(sums[i]).bits);
      REQUIRE(added[i].bits == to_bf16(sums[i] + to_float(before[i])).bits);
    }
  });
}

TEMPLATE_TEST_CASE(
    "bf16 gemm: a few rows times packed weights agree with the reference, with the same bits as alone", "",
    float, bf16) {
  const std::int64_t shapes[][2] = {{1, 1}, {7, 3}, {48, 32}, {50, 31}, {97, 33}, {100, 385}};
  for_each_isa([&] {
    for (const auto& [N, K] : shapes) {
      for (std::int64_t M : {1, 2, 3, 5, 8, 15, 16}) {
        INFO("M = " << M << ", N = " << N << ", K = " << K);
        const Case c(M, N, K);
        const Stored<TestType> a(c.A, M, K, true);
        const Stored<float> b(c.B, K, N, false);
        const Packed packed(b.view, K, N);
        Guarded C(c.before, 1), alone(c.before, 3);
        gemm_bf16(MatrixOut<float>{C.data(), N, c.bias.data(), C.data()}, a.view, packed.data(), {M, N, K});
        C.check();
        std::vector<double> want;
        for (std::int64_t i = 0; i < M * N; ++i) want.push_back(c.expected(i / N, i % N, true, true));
        check_close("C", C.values(), want, tolerance_for(K));
        for (std::int64_t m = 0; m < M; ++m) {
          float* c_m = alone.data() + m * N;
          gemm_bf16(MatrixOut<float>{c_m, N, c.bias.data(), c_m}, a.view.from(m, 0), packed.data(),
                    {1, N, K});
        }
        CHECK(std::equal(C.values().begin(), C.values().end(), alone.values().begin()));
      }
    }
  });
}

TEST_CASE("bf16 gemm: on amx, products are added in the order of the tiles, for few rows and for many") {
  // The tiles have one sum for even and one for odd products: 2^24 + 1 + 1 is 2^24 in floats, and 1 + 1 is 2.
  // In a single sum all the ones would be lost.
  const RestoreIsa restore;
  if (tables().back()->isa != Isa::amx) skip("this CPU cannot run the kernels of amx");
  use_table(*tables().back());
  const std::int64_t N = 50, K = 32;
  const std::vector<float> ones(static_cast<std::size_t>(K * N), 1.0f);
  const Stored<bf16> b(ones, K, N, true);
  const Packed packed(b.view, K, N);
  for (std::int64_t M : {1, 2, 16, 17, 40}) {
    INFO("M = " << M);
    std::vector<float> A(static_cast<std::size_t>(M * K)), C(static_cast<std::size_t>(M * N));
    for (std::int64_t m = 0; m < M; ++m) {
      const auto row = A.begin() + m * K;
      row[0] = 0x1p24f;
      std::fill(row + 1, row + 5, 1.0f);
    }
    const Stored<bf16> a(A, M, K, true);
    gemm_bf16(MatrixOut<float>{C.data(), N}, a.view, packed.data(), {M, N, K});
    for (const float c : C) REQUIRE(c == 0x1p24f + 2);
  }
}

TEST_CASE("bf16 gemm: sums that are cut into passes are right and have the same bits on 1 to 4 threads") {
  const std::int64_t M = 70, N = 130, K = 9000;
  const Case c(M, N, K);
  const RestoreThreads restore;
  for_each_isa([&] {
    const Stored<float> a(c.A, M, K, false), b(c.B, K, N, true);
    std::vector<float> first;
    for (int count : {1, 2, 3, 4}) {
      set_threads(count);
      std::vector<float> C(static_cast<std::size_t>(M * N));
      gemm_bf16(MatrixOut<float>{C.data(), N, c.bias.data()}, a.view, b.view, {M, N, K});
      if (first.empty()) first = C;
      CHECK(C == first);
    }
    std::vector<double> want;
    for (std::int64_t i = 0; i < M * N; ++i) want.push_back(c.expected(i / N, i % N, true, false));
    check_close("C", std::span<const float>(first), std::span<const double>(want), tolerance_for(K));
    std::vector<bf16> half(first.size());
    gemm_bf16(MatrixOut<bf16>{half.data(), N, c.bias.data()}, a.view, b.view, {M, N, K});
    for (std::size_t i = 0; i < half.size(); ++i) {
      REQUIRE(std::abs(static_cast<double>(to_float(half[i])) - want[i]) <=
              kBf16Rounding * std::abs(want[i]) + tolerance_for(K).absolute);
    }
  });
}

TEST_CASE("bf16 gemm: for K = 0 the result is the bias plus the addend") {
  const std::int64_t N = 50;
  const std::vector<float> bias = random_bf16s(N, 1);
  const bf16 nothing{};
  const MatrixIn<bf16> none = rows(&nothing, 0);
  for (const std::int64_t M : {3, 40}) {
    const std::vector<float> addend = random_bf16s(M * N, 2);
    std::vector<float> sum(addend.size());
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] = bias[i % N] + addend[i];
    Guarded out(M * N, 0, NAN);
    gemm_bf16(MatrixOut<float>{out.data(), N, bias.data(), addend.data()}, none, &nothing, {M, N, 0});
    check_close("f32, packed", out.values(), std::span<const float>(sum), {0, 0});
    gemm_bf16(MatrixOut<float>{out.data(), N}, none, none, {M, N, 0});
    check_close("f32, zero", out.values(), std::vector<float>(sum.size()), {0, 0});
    GuardedBf16 narrow(M * N);
    const std::vector<bf16> narrow_addend = to_bf16(addend);
    const MatrixOut<bf16> rounded{narrow.data(), N, bias.data(), narrow_addend.data()};
    gemm_bf16(rounded, none, none, {M, N, 0});
    check_close<float, float>("bf16", widened(narrow.values()), widened(to_bf16(sum)), {0, 0});
    gemm_bf16(MatrixOut<bf16>{narrow.data(), N}, none, &nothing, {M, N, 0});
    check_close<float, float>("bf16, zero", widened(narrow.values()), std::vector<float>(sum.size()), {0, 0});
    out.check();
    narrow.check();
  }
}

}  // namespace
}  // namespace inkling
