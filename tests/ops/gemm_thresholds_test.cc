// gemm just below and just above every size at which it takes another code path or cuts its work (the
// constants of ops/gemm/gemm.cc). All numbers are whole, so results are exact.
#include "ops/gemm/gemm.h"

#include <algorithm>

#include "tests/whole_numbers.h"

namespace inkling {
namespace {

using namespace inkling::test;

// C = A B with a bias, with a bias and an addend in other memory, and with an addend in C itself. Between the
// rows of C lie 5 floats that gemm must not change.
void check_sums(const ProductSize& s, bool a_by_rows, bool b_by_rows) {
  const std::int64_t M = s.M, N = s.N, K = s.K;
  INFO("M = " << M << ", N = " << N << ", K = " << K << ", A by " << (a_by_rows ? "rows" : "columns")
              << ", B by " << (b_by_rows ? "rows" : "columns"));
  const std::vector<float> a = whole_numbers(M * K, 1), b = whole_numbers(K * N, 2),
                           bias = whole_numbers(N, 3), before = whole_numbers(M * N, 4);
  const MatrixIn<float> A = a_by_rows ? rows(a.data(), K) : rows(a.data(), M).transposed();
  const MatrixIn<float> B = b_by_rows ? rows(b.data(), N) : rows(b.data(), K).transposed();
  ExpectedProduct want{{A.data, A.row_stride, A.col_stride}, {B.data, B.row_stride, B.col_stride}, M, N, K};
  const std::int64_t ldc = N + 5;
  constexpr float kUntouched = 0.5f;
  const auto spread = [&] {  // `before` with C's row stride
    std::vector<float> C(static_cast<std::size_t>(M * ldc), kUntouched);
    for (std::int64_t m = 0; m < M; ++m) std::copy_n(before.data() + m * N, N, C.data() + m * ldc);
    return C;
  };
  const auto check = [&](const std::string& what, const std::vector<float>& C) {
    check_exact(what, C.data(), ldc, want);
    for (std::int64_t m = 0; m < M; ++m) {
      const float* end_of_row = C.data() + m * ldc + N;
      CHECK(std::all_of(end_of_row, end_of_row + 5, [](float x) { return x == kUntouched; }));
    }
  };
  const std::vector<float> addend = spread();
  std::vector<float> C = spread();
  want.bias = bias.data();
  gemm({C.data(), ldc, bias.data()}, A, B, {M, N, K});
  check("C with bias", C);

  want.addend = before.data();
  gemm({C.data(), ldc, bias.data(), addend.data()}, A, B, {M, N, K});
  check("C with bias and addend", C);

  C = addend;
  want.bias = nullptr;
  gemm({C.data(), ldc, nullptr, C.data()}, A, B, {M, N, K});
  check("C added to itself", C);
}

TEST_CASE("gemm: sums are exact around a block of 768 steps of k, in strips of rows and of columns") {
  for_each_isa([] {
    for (const std::int64_t K : {767, 768, 769, 1535, 1536, 1537, 1600}) {
      check_sums({50, 9, K}, true, false);  // strips of rows
      check_sums({9, 50, K}, true, true);   // strips of columns
      check_sums({9, 50, K}, false, false);
    }
  });
}

// At most 2^18 floats of the shared side are packed at once, in whole blocks of 768 steps of k: 13056 steps
// for 20 lanes, 10752 steps for 24 lanes.
TEST_CASE("gemm: sums are exact when the shared side is packed in several blocks of k") {
  for_each_isa([] {
    for (const std::int64_t K : {10752, 10753, 13057}) check_sums({17, 97, K}, false, false);  // columns
    check_sums({97, 24, 11000}, true, true);                                                   // rows
    check_sums({97, 48, 5376}, true, false);
    check_sums({97, 48, 5377}, false, true);
  });
}

TEST_CASE("gemm: sums are exact for strips of every length: the least, the most, one task, and a tail") {
  for_each_isa([] {
    const ProductSize sizes[] = {
        {31, 30, 600},  {32, 30, 600},  {33, 30, 600},   // a strip has at least 32 lanes
        {65, 30, 600},  {97, 30, 600},  {1535, 25, 90},  // and at most 96, from 16 * 96 lanes on
        {1537, 25, 90}, {1700, 25, 90}, {25, 1700, 90}, {25, 1536, 90},
        {511, 32, 32},  {512, 32, 32},  {513, 32, 32},  // a task has 2^19 multiply-adds: 512 lanes
        {1100, 32, 32}, {32, 1100, 32}, {5000, 7, 3},   {7, 5000, 3}};
    for (const ProductSize& s : sizes) check_sums(s, true, true);
  });
}

// Strips are cut from the columns if there are at least 16 panels of columns, even if C has more panels of
// rows.
TEST_CASE("gemm: sums are exact around the sizes that decide between strips of rows and of columns") {
  for_each_isa([] {
    for (const std::int64_t N : {719, 720, 721, 767, 768, 769}) check_sums({200, N, 10}, true, true);
    for (const std::int64_t N : {40, 41, 60, 61, 64, 65}) check_sums({N - 1, N, 10}, false, true);
    for (const std::int64_t M : {40, 41, 64, 65})
      check_sums({M, M, 10}, true, false), check_sums({M + 1, M, 10}, true, true);
  });
}

// A task packs 2^15 floats of the shared side: 5 panels of 8 rows and 768 steps of k.
TEST_CASE("gemm: sums are exact when several tasks pack the shared side, with a tail") {
  for_each_isa([] {
    for (const std::int64_t M : {40, 41, 81, 95}) check_sums({M, 800, 100}, true, true);
    check_sums({47, 770, 769}, false, true);
    check_sums({770, 121, 100}, true, true);
    check_sums({3000, 2000, 2}, true, true);
  });
}

// For up to 16 rows, a transposed matrix is streamed and not packed. A task takes 2^16 floats of it, in
// groups of 4 of its rows.
TEST_CASE("gemm: sums are exact for 15 to 17 rows, for one task of streamed rows, two and a tail") {
  for_each_isa([] {
    for (const std::int64_t M : {1, 4, 15, 16, 17, 33}) {
      for (const std::int64_t N : {63, 64, 65, 131}) check_sums({M, N, 1024}, true, false);
      // A task has at least 4 rows of the matrix.
      for (const std::int64_t N : {3, 4, 5, 9}) check_sums({M, N, 20000}, true, false);
    }
    check_sums({16, 70, 1023}, false, false);  // other layouts are packed
    check_sums({16, 70, 1023}, true, true);
  });
}

}  // namespace
}  // namespace inkling
