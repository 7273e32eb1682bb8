// The learning rates of all steps of a run, compared with lists that were computed by hand for each schedule.
// These lists find a schedule that is wrong by one step.
#include <numbers>

#include "core/error.h"
#include "optim/schedule.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr double kPeak = 0.5, kLowest = 0.1;

// The learning rates of steps 0 .. steps-1.
std::vector<float> rates(LearningRateDecay decay, std::int64_t warmup, std::int64_t steps) {
  const LearningRateSchedule schedule{
      .decay = decay, .lr = kPeak, .min_lr = kLowest, .warmup_steps = warmup, .steps = steps};
  std::vector<float> list;
  for (std::int64_t step = 0; step < steps; ++step) list.push_back(learning_rate(schedule, step));
  return list;
}

// One rounding from double to float.
constexpr Tolerance kRounding{0, 1e-7};

void check_rates(LearningRateDecay decay, std::int64_t warmup, const std::vector<double>& want) {
  check_close<float, double>(str(name(decay), " after a warm-up of ", warmup, ": rate"),
                             rates(decay, warmup, std::ssize(want)), want, kRounding);
}

// The cosine schedule uses (1 + cos(pi x)) / 2. At x = 1/4 this is (1 + sqrt(1/2)) / 2, at x = 3/4 it is
// (1 - sqrt(1/2)) / 2.
const double kQuarter = 0.1 + 0.4 * (1 + std::numbers::sqrt2 / 2) / 2;
const double kThreeQuarters = 0.1 + 0.4 * (1 - std::numbers::sqrt2 / 2) / 2;

TEST_CASE("learning rates: without a warm-up step 0 has the peak rate, and the last step is above min_lr") {
  check_rates(LearningRateDecay::constant, 0, {0.5, 0.5, 0.5, 0.5});
  check_rates(LearningRateDecay::linear, 0, {0.5, 0.4, 0.3, 0.2});
  check_rates(LearningRateDecay::cosine, 0, {0.5, kQuarter, 0.3, kThreeQuarters});
  // The last fifth of ten steps is two steps long.
  check_rates(LearningRateDecay::wsd, 0, {0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.3});
}

TEST_CASE("learning rates: a warm-up of two steps ends at the peak rate, and then the decay begins") {
  check_rates(LearningRateDecay::constant, 2, {0.25, 0.5, 0.5, 0.5, 0.5, 0.5});
  check_rates(LearningRateDecay::linear, 2, {0.25, 0.5, 0.5, 0.4, 0.3, 0.2});
  check_rates(LearningRateDecay::cosine, 2, {0.25, 0.5, 0.5, kQuarter, 0.3, kThreeQuarters});
  check_rates(LearningRateDecay::wsd, 2, {0.25, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.3});
}

TEST_CASE("learning rates: a warm-up into wsd's last fifth makes the decay shorter; it starts at the peak") {
  // Of 20 steps the last four would be the decay. The warm-up takes two of these four steps.
  std::vector<double> want;
  for (int step = 0; step < 18; ++step) want.push_back(0.5 * (step + 1) / 18);
  want.insert(want.end(), {0.5, 0.3});
  check_rates(LearningRateDecay::wsd, 18, want);
}

TEST_CASE("learning rates: a warm-up as long as the run ends at the peak rate; a longer one is cut off") {
  for (LearningRateDecay decay : {LearningRateDecay::constant, LearningRateDecay::linear,
                                  LearningRateDecay::cosine, LearningRateDecay::wsd}) {
    check_rates(decay, 5, {0.1, 0.2, 0.3, 0.4, 0.5});
    check_rates(decay, 10, {0.05, 0.1, 0.15, 0.2, 0.25});
    check_rates(decay, 1, {0.5});
  }
}

TEST_CASE("learning rates: a step after the end has min_lr, or the peak rate if the schedule is constant") {
  for (LearningRateDecay decay :
       {LearningRateDecay::linear, LearningRateDecay::cosine, LearningRateDecay::wsd}) {
    for (std::int64_t step : {8, 9, 1000}) {
      for (std::int64_t warmup : {0, 2, 8})  // 8 steps are the whole run
        CHECK(learning_rate({decay, kPeak, kLowest, warmup, 8}, step) == static_cast<float>(kLowest));
    }
  }
  CHECK(learning_rate({LearningRateDecay::constant, kPeak, kLowest, 2, 8}, 8) == static_cast<float>(kPeak));
}

// Long lists, computed from the formulas in double.
TEST_CASE("learning rates: in a run of 1000 steps every step follows the formula") {
  constexpr std::int64_t kSteps = 1000;
  for (std::int64_t warmup : {0, 1, 100, 799, 800, 801, 999}) {
    std::vector<double> linear, cosine, wsd;
    for (std::int64_t step = 0; step < kSteps; ++step) {
      const auto s = static_cast<double>(step), w = static_cast<double>(warmup);
      const double up = 0.5 * (s + 1) / w;
      const double way = (s - w) / (1000 - w);  // 0 at the end of the warm-up, 1 at the end of the run
      const double stable = std::max(w, 800.0);
      linear.push_back(s < w ? up : 0.5 - 0.4 * way);
      cosine.push_back(s < w ? up : 0.1 + 0.2 * (1 + std::cos(std::numbers::pi * way)));
      wsd.push_back(s < w ? up : s < stable ? 0.5 : 0.5 - 0.4 * (s - stable) / (1000 - stable));
    }
    check_rates(LearningRateDecay::linear, warmup, linear);
    check_rates(LearningRateDecay::cosine, warmup, cosine);
    check_rates(LearningRateDecay::wsd, warmup, wsd);
  }
}

}  // namespace
}  // namespace inkling
