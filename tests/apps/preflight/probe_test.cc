// The measured miniature of a run, and the time that is predicted from it. No test depends on how fast this
// machine is.
#include "apps/preflight/probe.h"

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

PreflightRequest gpt(std::int64_t layers, Precision precision, bool recompute) {
  return {.model = {.max_seq_len = 64, .vocab_size = 5000, .layers = layers, .heads = 4, .channels = 64},
          .batch_size = 4,
          .seq_len = 48,
          .grad_accum = 2,
          .precision = precision,
          .recompute = recompute};
}

TEST_CASE("probe: every op of a step is measured, in f32 and bf16, with and without recompute") {
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    for (const bool recompute : {false, true}) {
      INFO(name(precision) << (recompute ? ", recomputing" : ""));
      const PreflightRequest request = gpt(3, precision, recompute);
      const std::vector<OpTime> measured = probe(request);
      const double seconds = predicted_seconds(rehearse(request), measured);
      CHECK(seconds > 0);
      CHECK(std::isfinite(seconds));
    }
  }
}

TEST_CASE("probe: the miniature of a large run has a bounded amount of work") {
  PreflightRequest request{.model = GPT2Config::named("gpt2:d12"), .batch_size = 1000, .seq_len = 1024};
  double flops = 0;
  for (const OpTime& op : probe(request)) flops += op.flops;
  CHECK(flops > 1e9);
  CHECK(flops < 40e9);
}

TEST_CASE(
    "probe: an op takes as much longer as it has more arithmetic, or more memory traffic if it has none") {
  const std::vector<OpTime> measured = {{Phase::forward, "linear", DType::f32, 1e9, 1e6, 0.5},
                                        {Phase::forward, "linear", DType::bf16, 1e9, 1e6, 0.1},
                                        {Phase::backward, "linear", DType::f32, 1e9, 1e6, 0.7},
                                        {Phase::forward, "gelu", DType::f32, 0, 1e6, 0.01},
                                        {Phase::backward, "plan", DType::f32, 0, 0, 0.002}};
  const auto seconds = [&](Phase phase, const char* op, Work work) {
    Preflight preflight;
    preflight.ops = {{phase, op, 1, work}};
    return predicted_seconds(preflight, measured);
  };
  CHECK(seconds(Phase::forward, "linear", {.flops = 3e9, .bytes = 7e6}) == approx(1.5));
  CHECK(seconds(Phase::forward, "linear", {.flops = 3e9, .operands = DType::bf16}) == approx(0.3));
  CHECK(seconds(Phase::backward, "linear", {.flops = 2e9}) == approx(1.4));
  CHECK(seconds(Phase::forward, "gelu", {.bytes = 5e6}) == approx(0.05));
  CHECK(seconds(Phase::backward, "plan", {}) == approx(0.002));
  CHECK_THROWS_WITH(seconds(Phase::backward, "gelu", {.bytes = 5e6}), contains("gelu"));

  Preflight two;
  two.ops = {{Phase::forward, "linear", 1, {.flops = 2e9}}, {Phase::forward, "gelu", 1, {.bytes = 1e6}}};
  CHECK(predicted_seconds(two, measured) == approx(1.01));
}

TEST_CASE("probe: bf16 is chosen if it saves at least a tenth of the time, and the reason gives both times") {
  CHECK(choose_precision(1.0, 0.89).precision == Precision::bf16);
  CHECK(choose_precision(1.0, 0.91).precision == Precision::f32);
  CHECK(choose_precision(1.0, 2.0).precision == Precision::f32);
  CHECK(choose_precision(0.005, 0.0031).reason == "a step takes about 3.1 ms, in f32 5.0 ms");
  CHECK(choose_precision(0.005, 0.0071).reason == "a step takes about 5.0 ms, in bf16 7.1 ms");
}

TEST_CASE("probe: both precisions are measured for the choice") {
  const PrecisionChoice choice = faster_precision(gpt(2, Precision::f32, false));
  CHECK_THAT(choice.reason, contains("a step takes about") && contains("ms, in "));
  CHECK_THAT(choice.reason, contains(choice.precision == Precision::f32 ? "in bf16" : "in f32"));
}

}  // namespace
}  // namespace inkling
