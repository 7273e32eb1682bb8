// Learning rate schedules and gradient clipping, compared with numbers computed by hand.
#include "optim/schedule.h"

#include "optim/clip.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

double at(LearningRateDecay decay, std::int64_t step) {
  return static_cast<double>(learning_rate({decay, 1.0, 0.1, 10, 110}, step));
}

bool near(double a, double b) {
  return std::abs(a - b) < 1e-6;  // the numbers are floats of about 1
}

constexpr LearningRateDecay kAll[] = {LearningRateDecay::constant, LearningRateDecay::linear,
                                      LearningRateDecay::cosine, LearningRateDecay::wsd};

TEST_CASE("schedule: every warm-up is llm.c's: lr / warmup at step 0, lr at step warmup - 1") {
  for (LearningRateDecay decay : kAll) {
    CHECK(near(at(decay, 0), 0.1));
    CHECK(near(at(decay, 4), 0.5));
    CHECK(near(at(decay, 9), 1.0));
    CHECK(near(at(decay, 10), 1.0));
    CHECK(near(static_cast<double>(learning_rate({decay, 0.5, 0.0, 0, 10}, 0)), 0.5));  // without a warm-up
  }
}

TEST_CASE("schedule: constant keeps lr, linear and cosine go down to min_lr, wsd does so in the last fifth") {
  CHECK(near(at(LearningRateDecay::constant, 109), 1.0));
  CHECK(near(at(LearningRateDecay::linear, 60), 0.55));
  CHECK(near(at(LearningRateDecay::linear, 85), 0.325));
  CHECK(near(at(LearningRateDecay::cosine, 60), 0.55));
  CHECK(near(at(LearningRateDecay::cosine, 35), 0.1 + 0.9 * (0.5 + 0.5 * std::sqrt(0.5))));
  CHECK(near(at(LearningRateDecay::wsd, 88), 1.0));
  CHECK(near(at(LearningRateDecay::wsd, 99), 0.55));
  for (LearningRateDecay decay :
       {LearningRateDecay::linear, LearningRateDecay::cosine, LearningRateDecay::wsd}) {
    CHECK(near(at(decay, 110), 0.1));
    CHECK(near(at(decay, 1000), 0.1));  // a run that continues after its planned end
  }
}

TEST_CASE("schedule: a warm-up as long as the run, or longer, does not divide by zero") {
  for (LearningRateDecay decay : kAll) {
    const float lr = learning_rate({decay, 1.0, 0.1, 5, 5}, 5);
    CHECK((lr == 1.0f || lr == 0.1f));
    CHECK(near(static_cast<double>(learning_rate({decay, 1.0, 0.1, 10, 5}, 4)), 0.5));
  }
}

TEST_CASE("schedule: every name is parsed, and an unknown name is an error that lists the choices") {
  for (LearningRateDecay decay : kAll) CHECK(parse_learning_rate_decay(name(decay)) == decay);
  CHECK_THROWS_WITH(
      parse_learning_rate_decay("cosin"),
      contains("schedule is 'cosin', expected constant, linear, cosine or wsd"));
}

TEST_CASE("clip: global_norm() is the norm of all gradients, and only a norm above the limit is scaled") {
  std::vector<float> g(100000, 0.01f);
  CHECK(near(global_norm(g.data(), 100000), std::sqrt(10.0)));
  CHECK(clip_factor(0.5, 1.0) == 1.0f);
  CHECK(clip_factor(0.0, 1.0) == 1.0f);
  CHECK(clip_factor(4.0, 1.0) == static_cast<float>(1.0 / 4.000001));
}

TEST_CASE("clip: if a gradient is NaN or inf, the norm is NaN or inf") {
  std::vector<float> g(100000, 0.01f);
  g[70000] = INFINITY;
  CHECK(std::isinf(global_norm(g.data(), 100000)));
  CHECK(clip_factor(global_norm(g.data(), 100000), 1.0) == 0.0f);
  g[3] = NAN;
  CHECK(std::isnan(global_norm(g.data(), 100000)));
  CHECK(std::isnan(clip_factor(global_norm(g.data(), 100000), 1.0)));
}

}  // namespace
}  // namespace inkling
