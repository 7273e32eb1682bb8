// AdamW, SGD and Nesterov over segments. They update only the weights of the segments, decay only the
// segments with weight decay, and continue exactly from a saved state.
#include <cmath>
#include <limits>
#include <memory>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/update/adamw.h"
#include "optim/adamw.h"
#include "optim/nesterov.h"
#include "optim/sgd.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// A matrix of two chunks and a rest, a gap that belongs to no segment, and a bias.
const std::vector<ParameterSegment> kSegments{{0, 150001, true, "w"}, {150010, 77, false, "b"}};
constexpr std::int64_t kExtent = 150087;

// Minimises 1/2 sum a_i p_i^2 with steps first .. last. Each step computes its gradients from the current
// weights, like a model.
std::vector<float> train(Optimizer& optimizer, std::vector<float> p, std::int64_t first, std::int64_t last) {
  std::vector<float> g(p.size());
  for (std::int64_t step = first; step <= last; ++step) {
    for (std::size_t i = 0; i < p.size(); ++i) g[i] = p[i] * static_cast<float>(1 + i % 7);
    optimizer.step(p.data(), g.data(), step, 0.01f, 0.5f);
  }
  return p;
}

std::vector<std::unique_ptr<Optimizer>> all_optimizers() {
  std::vector<std::unique_ptr<Optimizer>> all;
  all.push_back(std::make_unique<AdamW>(kSegments, AdamWSettings{}));
  all.push_back(std::make_unique<Sgd>(kSegments, SgdSettings{0.9, 0.1}));
  all.push_back(std::make_unique<Nesterov>(kSegments, 0.9));
  return all;
}

TEST_CASE("adamw: two steps over segments follow the paper, and only decaying segments decay") {
  AdamW adamw(kSegments, {0.9, 0.999, 1e-8, 0.1});
  std::vector<float> p(kExtent, 2.0f), g(kExtent, 0.25f);
  adamw.step(p.data(), g.data(), 1, 0.01f, 2.0f);
  adamw.step(p.data(), g.data(), 2, 0.01f, 2.0f);
  // The gradient g is constant, so m^ = g and v^ = g^2 at every step. Then each step subtracts lr, and the
  // decay subtracts 0.1% of the weight.
  const double decayed = (2 * 0.999 - 0.01) * 0.999 - 0.01, plain = 2 - 0.02;
  for (std::size_t i : {std::size_t{0}, std::size_t{65535}, std::size_t{65536}, std::size_t{150000}}) {
    CHECK(std::abs(static_cast<double>(p[i]) - decayed) < 1e-6);
  }
  for (std::size_t i : {std::size_t{150010}, std::size_t{150086}})
    CHECK(std::abs(static_cast<double>(p[i]) - plain) < 1e-6);
  for (std::size_t i = 150001; i < 150010; ++i) CHECK(p[i] == 2.0f);
  CHECK(std::abs(static_cast<double>(adamw.m()[5]) - 0.19 * 0.5) < 1e-7);
  CHECK(std::abs(static_cast<double>(adamw.v()[5]) - 0.001999 * 0.25) < 1e-9);
}

TEST_CASE("sgd: a step over segments adds the decay to the gradient, only in decaying segments") {
  Sgd sgd(kSegments, {0.9, 0.1});
  std::vector<float> p(kExtent, 2.0f), g(kExtent, 0.25f);
  sgd.step(p.data(), g.data(), 1, 0.1f, 2.0f);
  CHECK(std::abs(p[150000] - (2 - 0.1f * (0.5f + 0.2f))) < 1e-6f);
  CHECK(std::abs(p[150010] - (2 - 0.1f * 0.5f)) < 1e-6f);
  CHECK(p[150005] == 2.0f);
}

TEST_CASE("nesterov: three steps follow the formula, in each chunk") {
  Nesterov nesterov(kSegments, 0.5);
  std::vector<float> p(kExtent, 8.0f), g(kExtent);
  // b: 2, 0.5 * 2 + 4 = 5, 0.5 * 5 - 2 = 0.5. A step subtracts 0.5 (g + 0.5 b): 1.5, 3.25, -0.875.
  const float gradients[] = {2, 4, -2}, weights[] = {6.5f, 3.25f, 4.125f};
  for (int step = 0; step < 3; ++step) {
    std::fill(g.begin(), g.end(), 2 * gradients[step]);
    nesterov.step(p.data(), g.data(), step + 1, 0.5f, 0.5f);
    for (std::size_t i : {0u, 65535u, 65536u, 150000u, 150010u, 150086u}) CHECK(p[i] == weights[step]);
  }
  CHECK(nesterov.velocity()[7] == 0.5f);
  for (std::size_t i = 150001; i < 150010; ++i) CHECK(p[i] == 8.0f);
}

TEST_CASE("optimizers: training from a saved and restored state gives the same bits") {
  for (std::size_t which : {0u, 1u, 2u}) {
    const std::vector<float> start = random_floats(kExtent, 1);
    const auto whole = std::move(all_optimizers()[which]), before = std::move(all_optimizers()[which]);
    const auto after = std::move(all_optimizers()[which]);
    INFO(whole->name());
    const std::vector<float> want = train(*whole, start, 1, 5);
    const std::vector<float> half = train(*before, start, 1, 2);
    const auto from = before->state(), to = after->state();
    REQUIRE(from.size() == to.size());
    for (std::size_t i = 0; i < from.size(); ++i) {
      CHECK(from[i].values.size() == static_cast<std::size_t>(kExtent));
      std::copy(from[i].values.begin(), from[i].values.end(), to[i].values.begin());
    }
    CHECK(train(*after, half, 3, 5) == want);
  }
}

TEST_CASE("optimizers: 1, 2, 3 and 4 threads give the same bits") {
  const RestoreThreads restore;
  for (std::size_t which : {0u, 1u, 2u}) {
    const std::vector<float> start = random_floats(kExtent, 1);
    set_threads(1);
    const std::vector<float> want = train(*all_optimizers()[which], start, 1, 2);
    for (int count : {2, 3, 4}) {
      set_threads(count);
      CHECK(train(*all_optimizers()[which], start, 1, 2) == want);
    }
  }
}

TEST_CASE("optimizers: each setting is accepted up to its limits, and one step beyond is an error") {
  const double below_1 = std::nextafter(1.0, 0.0), below_0 = -std::numeric_limits<double>::denorm_min();
  for (const double beta : {0.0, below_1}) {
    CHECK_NOTHROW(AdamW(kSegments, {beta, 0.95, 1e-8, 0.1}));
    CHECK_NOTHROW(AdamW(kSegments, {0.9, beta, 1e-8, 0.1}));
    CHECK_NOTHROW(Sgd(kSegments, {beta, 0}));
    CHECK_NOTHROW(Nesterov(kSegments, beta));
  }
  for (const double beta : {below_0, 1.0, 1.5, static_cast<double>(NAN)}) {
    CHECK_THROWS_WITH(AdamW(kSegments, {beta, 0.95, 1e-8, 0.1}),
                      contains(str("adamw: beta1 is ", beta, ", expected 0 <= beta1 < 1")));
    CHECK_THROWS_WITH(AdamW(kSegments, {0.9, beta, 1e-8, 0.1}),
                      contains(str("adamw: beta2 is ", beta, ", expected 0 <= beta2 < 1")));
    CHECK_THROWS_WITH(Sgd(kSegments, {beta, 0}),
                      contains(str("sgd: momentum is ", beta, ", expected 0 <= momentum < 1")));
    CHECK_THROWS_WITH(Nesterov(kSegments, beta),
                      contains(str("nesterov: momentum is ", beta, ", expected 0 <= momentum < 1")));
  }
  CHECK_NOTHROW(AdamW(kSegments, {0.9, 0.95, -below_0, 0}));
  CHECK_NOTHROW(Sgd(kSegments, {0.9, 0}));
  for (const double eps : {below_0, 0.0, static_cast<double>(NAN)})
    CHECK_THROWS_WITH(AdamW(kSegments, {0.9, 0.95, eps, 0.1}), contains(str("adamw: eps is ", eps)));
  for (const double decay : {below_0, static_cast<double>(NAN)}) {
    CHECK_THROWS_WITH(AdamW(kSegments, {0.9, 0.95, 1e-8, decay}),
                      contains(str("adamw: weight decay is ", decay, ", expected 0 or more")));
    CHECK_THROWS_WITH(Sgd(kSegments, {0.9, decay}),
                      contains(str("sgd: weight decay is ", decay, ", expected 0 or more")));
  }
}

TEST_CASE("optimizers: overlapping segments and steps before the first are errors that name them") {
  CHECK_THROWS_WITH(Sgd({{0, 10, true, "a"}, {9, 5, true, "b"}}, {}),
                    contains("parameter b has 5 floats at offset 9, expected offset >= 10"));
  AdamW adamw(kSegments, {});
  Sgd sgd(kSegments, {});
  Nesterov nesterov(kSegments, 0.9);
  for (const std::int64_t step : {0, -1}) {
    CHECK_THROWS_WITH(adamw.step(nullptr, nullptr, step, 0.1f, 1.0f),
                      contains(str("adamw: step is ", step, ", expected 1 or more")));
    CHECK_THROWS_WITH(sgd.step(nullptr, nullptr, step, 0.1f, 1.0f),
                      contains(str("sgd: step is ", step, ", expected 1 or more")));
    CHECK_THROWS_WITH(nesterov.step(nullptr, nullptr, step, 0.1f, 1.0f),
                      contains(str("nesterov: step is ", step, ", expected 1 or more")));
  }
}

TEST_CASE("segments: chunks cover each segment exactly once, also beyond 2^32 floats") {
  const std::int64_t big = (std::int64_t{1} << 32) + 12345;
  const std::vector<ParameterSegment> segments{{0, 5, true, "a"}, {7, big, false, "b"}};
  CHECK(extent(segments) == big + 7);
  const std::vector<SegmentChunk> chunks = cut_segments(segments);
  std::int64_t at = 7;
  CHECK((chunks[0].offset == 0 && chunks[0].count == 5 && chunks[0].decay));
  for (std::size_t i = 1; i < chunks.size(); ++i) {
    if (chunks[i].offset != at || chunks[i].count < 1 || chunks[i].decay) FAIL("chunk " << i);
    at += chunks[i].count;
  }
  CHECK(at == big + 7);
}

}  // namespace
}  // namespace inkling
