// gemm_bf16 on each side of every size at which its driver changes its path or cuts its work (the constants
// of ops/gemm/gemm_bf16.cc). Numbers are whole and small enough for bf16, so sums are exact, and a bf16
// result is the exact sum rounded once.
#include <algorithm>

#include "core/memory.h"
#include "ops/gemm/gemm_bf16.h"
#include "tests/whole_numbers.h"

namespace inkling {
namespace {

using namespace inkling::test;

struct Size {
  std::int64_t M, N, K;
};

// C = A B into f32, A in f32 and B in bf16: with bias alone, and added to what C holds, streamed past the
// caches.
void check_sums(const Size& s, bool a_by_rows = true, bool b_by_rows = true) {
  const auto& [M, N, K] = s;
  INFO("M = " << M << ", N = " << N << ", K = " << K);
  const std::vector<float> a = whole_numbers(M * K, 1), b = whole_numbers(K * N, 2),
                           bias = whole_numbers(N, 3), before = whole_numbers(M * N, 4);
  const std::vector<bf16> b_half = to_bf16(b);
  PackSource A{a.data(), DType::f32, a_by_rows ? K : 1, a_by_rows ? 1 : M};
  const PackSource B{b_half.data(), DType::bf16, b_by_rows ? N : 1, b_by_rows ? 1 : K};
  ExpectedProduct want{
      {a.data(), A.row_stride, A.col_stride}, {b.data(), B.row_stride, B.col_stride}, M, N, K};
  const Pages memory(static_cast<std::size_t>(M * N) * sizeof(float));  // aligned: whole lines are streamed
  auto* C = reinterpret_cast<float*>(memory.data());

  want.bias = bias.data();
  gemm_bf16({C, DType::f32, N, bias.data()}, A, B, M, N, K);
  check_exact("C with bias", C, N, want);

  std::copy(before.begin(), before.end(), C);
  want.bias = nullptr, want.addend = before.data();
  gemm_bf16({C, DType::f32, N, nullptr, C, true}, A, B, M, N, K);
  check_exact("C added to itself, streamed", C, N, want);
}

// The same into bf16, by B packed before: a sample of elements, in the corners of chunks and panels.
void check_rounded_sums(const Size& s) {
  const auto& [M, N, K] = s;
  INFO("M = " << M << ", N = " << N << ", K = " << K);
  const std::vector<float> a = whole_numbers(M * K, 1), b = whole_numbers(K * N, 2),
                           bias = whole_numbers(N, 3);
  const Pages memory(static_cast<std::size_t>(packed_b_count(N, K)) * sizeof(bf16));
  auto* packed = reinterpret_cast<bf16*>(memory.data());
  pack_b(packed, {b.data(), DType::f32, N, 1}, K, N);
  std::vector<bf16> C(static_cast<std::size_t>(M * N));
  gemm_bf16({C.data(), DType::bf16, N, bias.data()}, {a.data(), DType::f32, K, 1}, packed, M, N, K);
  const ExpectedProduct want{by_rows(a, K), by_rows(b, N), M, N, K, bias.data()};
  for (std::int64_t m = 0; m < M; m += m % 16 == 15 ? 1 : 15) {
    for (std::int64_t n = 0; n < N; n += n % 48 == 47 ? 1 : 47) {
      const float expected = static_cast<float>(want.element(m, n));
      REQUIRE(to_float(C[static_cast<std::size_t>(m * N + n)]) == to_float(inkling::to_bf16(expected)));
    }
  }
}

TEST_CASE("bf16 gemm: exact on each side of a block of 12 steps and of a pass of 4096 of k") {
  for_each_isa([] {
    for (const std::int64_t K : {383, 384, 385, 417, 769, 4095, 4096, 4097, 8193}) {
      check_sums({17, 49, K}, K % 2 == 0, K % 2 == 1);
    }
  });
}

// A chunk of A is at most 512 rows and 1 MiB: 512 rows up to 1024 of k, 256 of 2048, 128 of 4096.
TEST_CASE("bf16 gemm: exact on each side of a chunk of rows, limited by number and by bytes") {
  for_each_isa([] {
    for (const std::int64_t M : {511, 512, 513, 1041}) check_sums({M, 49, 33});
    for (const std::int64_t M : {256, 257}) check_sums({M, 5, 1100});
    for (const std::int64_t M : {128, 129}) check_sums({M, 5, 4096}, false, true);
  });
}

// Panels of 48 columns are finished 4 together when C is streamed and K has 32 steps at most; they are shared
// out in 8 tasks or more.
TEST_CASE("bf16 gemm: exact for one run of panels, two and a tail, with few steps of k and with more") {
  for_each_isa([] {
    for (const std::int64_t N : {192, 193, 240, 400}) {
      for (const std::int64_t K : {32, 1024, 1025}) check_sums({17, N, K});
    }
    for (const std::int64_t N : {8 * 48, 8 * 48 + 1, 16 * 48, 16 * 48 + 1, 20 * 48 + 16})
      check_sums({520, N, 40});
  });
}

// A task multiplies 2^22 numbers at least: 85 panels of 16 rows and 64 steps. It packs 2^15: 64 tiles of 512.
TEST_CASE("bf16 gemm: exact for one task of multiplying or packing, two and a tail") {
  for_each_isa([] {
    for (const std::int64_t N : {85 * 48, 86 * 48, 180 * 48 + 7}) check_sums({17, N, 40}, true, false);
    for (const std::int64_t M : {1008, 1024, 1025, 2050}) check_sums({M, 3, 20}, true, true);
    for (const std::int64_t M : {1008, 1024, 1025}) check_sums({M, 3, 70}, false, false);
    for (const std::int64_t K : {2016, 2048, 2049, 4100}) check_sums({17, 3, K}, false, false);
  });
}

// Up to 16 rows stream packed B: 2^16 numbers a task, 42 panels of 32 steps.
TEST_CASE("bf16 gemm: exact for 15 to 17 rows times packed weights, with one task, two and a tail") {
  for_each_isa([] {
    for (const std::int64_t M : {1, 15, 16, 17}) {
      for (const std::int64_t N : {42 * 48, 42 * 48 + 1, 86 * 48 + 5}) check_rounded_sums({M, N, 20});
      check_rounded_sums({M, 145, 700});
      check_rounded_sums({M, 49, 4097});  // one pass, however long K is
    }
  });
}

TEST_CASE("bf16 gemm: a bf16 result of a long sum is rounded once, for several chunks of rows") {
  for_each_isa([] {
    for (const std::int64_t K : {4096, 4097, 9000}) check_rounded_sums({145, 49, K});
    check_rounded_sums({33, 5, 33000});  // a tile of rows is more than a chunk's bytes
  });
}

}  // namespace
}  // namespace inkling
