// gemm_bf16 just below and just above every size at which it takes another code path or cuts its work (the
// constants of ops/gemm/gemm_bf16.cc). All numbers are whole and small enough for bf16, so sums are exact,
// and a bf16 result is the exact sum rounded once.
#include <algorithm>

#include "core/memory.h"
#include "ops/gemm/gemm_bf16.h"
#include "tests/whole_numbers.h"

namespace inkling {
namespace {

using namespace inkling::test;

// C = A B in f32, with A in f32 and B in bf16. The first product gets a bias. The second product is added to
// the old values of C and streamed past the caches.
void check_sums(const ProductSize& s, bool a_by_rows = true, bool b_by_rows = true) {
  const auto& [M, N, K] = s;
  INFO("M = " << M << ", N = " << N << ", K = " << K);
  const std::vector<float> a = whole_numbers(M * K, 1), b = whole_numbers(K * N, 2),
                           bias = whole_numbers(N, 3), before = whole_numbers(M * N, 4);
  const std::vector<bf16> b_half = to_bf16(b);
  const MatrixIn<float> A{a.data(), a_by_rows ? K : 1, a_by_rows ? 1 : M};
  const MatrixIn<bf16> B{b_half.data(), b_by_rows ? N : 1, b_by_rows ? 1 : K};
  ExpectedProduct want{
      {a.data(), A.row_stride, A.col_stride}, {b.data(), B.row_stride, B.col_stride}, M, N, K};
  // Pages are aligned, so whole cache lines are streamed.
  const Pages memory(static_cast<std::size_t>(M * N) * sizeof(float));
  auto* C = reinterpret_cast<float*>(memory.data());

  want.bias = bias.data();
  gemm_bf16(MatrixOut<float>{C, N, bias.data()}, A, B, {M, N, K});
  check_exact("C with bias", C, N, want);

  std::copy(before.begin(), before.end(), C);
  want.bias = nullptr, want.addend = before.data();
  gemm_bf16(MatrixOut<float>{C, N, nullptr, C, true}, A, B, {M, N, K});
  check_exact("C added to itself, streamed", C, N, want);
}

// The same check for a bf16 result, with B packed before the product. It checks a sample of elements, in the
// corners of chunks and panels.
void check_rounded_sums(const ProductSize& s) {
  const auto& [M, N, K] = s;
  INFO("M = " << M << ", N = " << N << ", K = " << K);
  const std::vector<float> a = whole_numbers(M * K, 1), b = whole_numbers(K * N, 2),
                           bias = whole_numbers(N, 3);
  const Pages memory(static_cast<std::size_t>(packed_b_count(N, K)) * sizeof(bf16));
  auto* packed = reinterpret_cast<bf16*>(memory.data());
  pack_b(packed, rows(b.data(), N), K, N);
  std::vector<bf16> C(static_cast<std::size_t>(M * N));
  gemm_bf16(MatrixOut<bf16>{C.data(), N, bias.data()}, rows(a.data(), K), packed, {M, N, K});
  const ExpectedProduct want{by_rows(a, K), by_rows(b, N), M, N, K, bias.data()};
  for (std::int64_t m = 0; m < M; m += m % 16 == 15 ? 1 : 15) {
    for (std::int64_t n = 0; n < N; n += n % 48 == 47 ? 1 : 47) {
      const float expected = static_cast<float>(want.element(m, n));
      REQUIRE(to_float(C[static_cast<std::size_t>(m * N + n)]) == to_float(inkling::to_bf16(expected)));
    }
  }
}

TEST_CASE("bf16 gemm: sums are exact around a block of 12 steps and around a pass of 4096 of k") {
  for_each_isa([] {
    for (const std::int64_t K : {383, 384, 385, 417, 769, 4095, 4096, 4097, 8193}) {
      check_sums({17, 49, K}, K % 2 == 0, K % 2 == 1);
    }
  });
}

// A chunk of A has at most 512 rows and at most 1 MiB: 512 rows for K up to 1024, 256 rows for K = 2048, 128
// rows for K = 4096.
TEST_CASE(
    "bf16 gemm: sums are exact around a chunk of rows, limited by its number of rows and by its bytes") {
  for_each_isa([] {
    for (const std::int64_t M : {511, 512, 513, 1041}) check_sums({M, 49, 33});
    for (const std::int64_t M : {256, 257}) check_sums({M, 5, 1100});
    for (const std::int64_t M : {128, 129}) check_sums({M, 5, 4096}, false, true);
  });
}

// If C is streamed and K has at most 32 steps, 4 panels of 48 columns are finished together. The panels are
// divided into at least 8 tasks.
TEST_CASE("bf16 gemm: sums are exact for one run of panels, two and a tail, with few and many steps of k") {
  for_each_isa([] {
    for (const std::int64_t N : {192, 193, 240, 400}) {
      for (const std::int64_t K : {32, 1024, 1025}) check_sums({17, N, K});
    }
    for (const std::int64_t N : {8 * 48, 8 * 48 + 1, 16 * 48, 16 * 48 + 1, 20 * 48 + 16})
      check_sums({520, N, 40});
  });
}

// A task multiplies at least 2^22 numbers: 85 panels times 16 rows times 64 of k. A task packs 2^15 numbers:
// 64 tiles of 512 numbers.
TEST_CASE("bf16 gemm: sums are exact for one task of multiplying or packing, two and a tail") {
  for_each_isa([] {
    for (const std::int64_t N : {85 * 48, 86 * 48, 180 * 48 + 7}) check_sums({17, N, 40}, true, false);
    for (const std::int64_t M : {1008, 1024, 1025, 2050}) check_sums({M, 3, 20}, true, true);
    for (const std::int64_t M : {1008, 1024, 1025}) check_sums({M, 3, 70}, false, false);
    for (const std::int64_t K : {2016, 2048, 2049, 4100}) check_sums({17, 3, K}, false, false);
  });
}

// For up to 16 rows, packed B is streamed. A task takes 2^16 numbers of it: 42 panels of 48 columns and 32 of
// k.
TEST_CASE("bf16 gemm: sums are exact for 15 to 17 rows times packed weights, for one task, two and a tail") {
  for_each_isa([] {
    for (const std::int64_t M : {1, 15, 16, 17}) {
      for (const std::int64_t N : {42 * 48, 42 * 48 + 1, 86 * 48 + 5}) check_rounded_sums({M, N, 20});
      check_rounded_sums({M, 145, 700});
      check_rounded_sums({M, 49, 4097});  // one pass for any K
    }
  });
}

TEST_CASE("bf16 gemm: a bf16 result of a long sum is rounded once, for several chunks of rows") {
  for_each_isa([] {
    for (const std::int64_t K : {4096, 4097, 9000}) check_rounded_sums({145, 49, K});
    check_rounded_sums({33, 5, 33000});  // one tile of rows has more bytes than a chunk may have
  });
}

}  // namespace
}  // namespace inkling
