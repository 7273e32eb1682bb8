// The loops that measure the roof, the highest speed of this machine. The measured figures are right only if
// the loops count their operations correctly.
#include "ops/roof/roof.h"

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("roof: the fma loop counts every operation, on every instruction set") {
  for_each_isa([] {
    float sink = 0.5f;
    const std::int64_t once = kernels().fma_loop(&sink, 1);
    CHECK(once >= 2 * kFmaChains);
    sink = 0.5f;
    CHECK(kernels().fma_loop(&sink, 1000) == 1000 * once);
    CHECK(std::isfinite(sink));
  });
}

TEST_CASE(
    "roof: instruction sets with an instruction for bf16 products have a loop for them, others do not") {
  for_each_isa([] {
    const Isa isa = kernels().isa;
    REQUIRE((kernels().bf16_dot_loop != nullptr) == (isa == Isa::avx512_bf16 || isa == Isa::amx));
    if (kernels().bf16_dot_loop == nullptr) return;
    float sink = 0.5f;
    const std::int64_t once = kernels().bf16_dot_loop(&sink, 1);
    CHECK(once == (isa == Isa::amx ? 3 * 2 * 16 * 16 * 32 : kFmaChains * 2 * 32));
    sink = 0.5f;
    CHECK(kernels().bf16_dot_loop(&sink, 1000) == 1000 * once);
    CHECK(std::isfinite(sink));
  });
}

TEST_CASE("roof: best_roof measures every figure that this machine has") {
  const Roof roof = best_roof();
  for (const double figure : {roof.fma_gflops, roof.triad_gbs, roof.read_gbs}) CHECK(figure > 0);
  CHECK((roof.bf16_gflops > 0) == (kernels().bf16_dot_loop != nullptr));
}

}  // namespace
}  // namespace inkling
