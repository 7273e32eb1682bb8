// Matrix products whose inner dimension K is 0. Every sum is empty, so the result is the bias plus the
// addend.
#include "ops/gemm/gemm_bf16.h"
#include "ops/gemm/gemv_int8.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("gemm_bf16: for K = 0 the result is the bias plus the addend") {
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
