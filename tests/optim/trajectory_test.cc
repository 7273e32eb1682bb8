// Several steps of SGD and AdamW, compared with the textbook's formulas in double. One step is not enough:
// wrong moments and wrong momentum change the weights only from the second step on.
#include <atomic>

#include "core/error.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/sgd.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// A matrix, a gap that belongs to no segment, and a bias without weight decay.
constexpr std::int64_t kMatrix = 83, kGap = 5, kBias = 21, kExtent = kMatrix + kGap + kBias;
const std::vector<ParameterSegment> kSegments{{0, kMatrix, true, "w"}, {kMatrix + kGap, kBias, false, "b"}};
constexpr std::int64_t kSteps = 6;

bool in_gap(std::int64_t i) {
  return i >= kMatrix && i < kMatrix + kGap;
}

// Each step has its own learning rate, its own factor for the gradients, and its own gradients.
double lr_of(std::int64_t step) {
  return 0.05 / static_cast<double>(step);
}
double scale_of(std::int64_t step) {
  return step % 2 == 0 ? 1.0 : 0.25;
}
std::vector<float> gradients_of(std::int64_t step) {
  return random_floats(kExtent, 100 + static_cast<std::uint64_t>(step));
}

// Each step has a few roundings of numbers of about 1. The smallest term of the formulas, the decay of one
// step, is a thousand times larger than this tolerance, so the test notices if it is missing.
constexpr Tolerance kRounding{3e-6, 3e-6};

// Runs kSteps steps of `optimizer` and checks all weights after each step. `expected` returns the new value
// of weight i from its old value p, the step, and its scaled gradient g.
void check_trajectory(
    Optimizer& optimizer, std::vector<double> p,
    const std::function<double(std::size_t i, double p, std::int64_t step, double g)>& expected) {
  std::vector<float> weights(p.begin(), p.end());
  for (std::int64_t step = 1; step <= kSteps; ++step) {
    const std::vector<float> g = gradients_of(step);
    optimizer.step(weights.data(), g.data(), step, static_cast<float>(lr_of(step)),
                   static_cast<float>(scale_of(step)));
    for (std::int64_t i = 0; i < kExtent; ++i) {
      const auto at = static_cast<std::size_t>(i);
      if (!in_gap(i)) p[at] = expected(at, p[at], step, scale_of(step) * static_cast<double>(g[at]));
    }
    check_close(str(optimizer.name(), " after step ", step, ": weight"), weights, p, kRounding);
  }
}

std::vector<double> start() {
  const std::vector<float> floats = random_floats(kExtent, 7);
  return {floats.begin(), floats.end()};
}

bool decays(std::size_t i) {
  return static_cast<std::int64_t>(i) < kMatrix;
}

TEST_CASE("sgd: momentum and weight decay follow the hand-computed trajectory") {
  for_each_isa([] {
    for (const auto& settings : {std::pair{0.9, 0.0}, {0.7, 0.2}, {0.0, 0.3}, {0.0, 0.0}}) {
      const double momentum = settings.first, decay = settings.second;
      INFO("momentum " << momentum << ", weight decay " << decay);
      Sgd sgd(kSegments, {.momentum = momentum, .weight_decay = decay});
      std::vector<double> velocity(kExtent, 0.0);
      check_trajectory(sgd, start(), [&](std::size_t i, double p, std::int64_t step, double g) {
        velocity[i] = momentum * velocity[i] + g + (decays(i) ? decay * p : 0);
        return p - lr_of(step) * velocity[i];
      });
    }
  });
}

TEST_CASE("sgd: three steps of one weight equal the values computed by hand") {
  Sgd sgd({{0, 1, true, "w"}}, {.momentum = 0.5, .weight_decay = 0.1});
  float w = 2;
  const float g = 1;
  // The velocity is 1 + 0.2 = 1.2, then 0.6 + 1 + 0.188 = 1.788, then 0.894 + 1 + 0.17012 = 2.06412.
  const double want[] = {2 - 0.12, 1.88 - 0.1788, 1.7012 - 0.206412};
  for (std::int64_t step = 1; step <= 3; ++step) {
    sgd.step(&w, &g, step, 0.1f, 1.0f);
    CHECK(static_cast<double>(w) == approx(want[step - 1]).epsilon(1e-6));
  }
}

TEST_CASE("adamw: moments, bias correction, eps and decay follow the textbook's trajectory") {
  for_each_isa([] {
    for (const AdamWSettings& s :
         {AdamWSettings{.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .weight_decay = 0.1},
          {.beta1 = 0.5, .beta2 = 0.999, .eps = 1e-2, .weight_decay = 0.5},
          {.beta1 = 0.0, .beta2 = 0.9, .eps = 0.3, .weight_decay = 0.0},
          {.beta1 = 0.8, .beta2 = 0.0, .eps = 1e-3, .weight_decay = 2.0}}) {
      INFO("beta1 " << s.beta1 << ", beta2 " << s.beta2 << ", eps " << s.eps << ", decay " << s.weight_decay);
      AdamW adamw(kSegments, s);
      std::vector<double> m(kExtent, 0.0), v(kExtent, 0.0);
      check_trajectory(adamw, start(), [&](std::size_t i, double p, std::int64_t step, double g) {
        m[i] = s.beta1 * m[i] + (1 - s.beta1) * g;
        v[i] = s.beta2 * v[i] + (1 - s.beta2) * g * g;
        const double m_hat = m[i] / (1 - std::pow(s.beta1, step)),
                     v_hat = v[i] / (1 - std::pow(s.beta2, step));
        const double decay = decays(i) ? s.weight_decay : 0;
        return p - lr_of(step) * (decay * p + m_hat / (std::sqrt(v_hat) + s.eps));
      });
    }
  });
}

TEST_CASE("adamw: two steps of one weight equal the values computed by hand") {
  AdamW adamw({{0, 1, true, "w"}}, {.beta1 = 0.5, .beta2 = 0.75, .eps = 1.0, .weight_decay = 0.5});
  float w = 4, g = 2;
  // m = 1, v = 1, m^ = 2, v^ = 4, so the new weight is 4 - 0.1 (0.5 * 4 + 2 / (2 + 1)).
  adamw.step(&w, &g, 1, 0.1f, 1.0f);
  const double first = 4 - 0.1 * (2 + 2.0 / 3);
  CHECK(static_cast<double>(w) == approx(first).epsilon(1e-6));
  // With g = -1, m becomes 0, so only the decay changes the weight.
  g = -1;
  adamw.step(&w, &g, 2, 0.1f, 1.0f);
  CHECK(static_cast<double>(w) == approx(first * 0.95).epsilon(1e-6));
}

TEST_CASE("optimizers: step() reports each weight of the segments as updated once, and no weight of a gap") {
  AdamW adamw(kSegments, {});
  Sgd sgd(kSegments, {});
  for (Optimizer* optimizer : {static_cast<Optimizer*>(&adamw), static_cast<Optimizer*>(&sgd)}) {
    INFO(optimizer->name());
    std::vector<float> weights(kExtent, 1.0f), gradients(kExtent, 1.0f);
    std::vector<std::atomic<int>> updated(kExtent);
    optimizer->step(weights.data(), gradients.data(), 1, 0.1f, 1.0f,
                    [&](std::int64_t offset, std::int64_t count) {
                      for (std::int64_t i = offset; i < offset + count; ++i)
                        ++updated[static_cast<std::size_t>(i)];
                    });
    for (std::int64_t i = 0; i < kExtent; ++i) {
      if (updated[static_cast<std::size_t>(i)] != (in_gap(i) ? 0 : 1)) FAIL("weight " << i);
    }
  }
}

TEST_CASE("clip: the factor is 1 up to the limit, and scales a longer gradient down to the limit") {
  for (const auto& [norm, limit] : {std::pair{0.0, 1.0}, {0.5, 1.0}, {0.999, 1.0}, {2.0, 3.0}, {9.0, 1e9}})
    CHECK(clip_factor(norm, limit) == 1.0f);
  for (const auto& [norm, limit] : {std::pair{1.001, 1.0}, {2.0, 1.0}, {5.0, 0.25}, {1e6, 3.0}}) {
    // PyTorch's formula, max_norm / (norm + 1e-6), with one rounding to float.
    CHECK(static_cast<double>(clip_factor(norm, limit)) == approx(limit / (norm + 1e-6)).epsilon(1e-7));
  }
}

}  // namespace
}  // namespace inkling
