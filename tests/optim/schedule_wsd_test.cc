// The schedule wsd (warm-up, stable, decay), with a warm-up that ends inside the decay or after the end of
// the run.
#include "optim/schedule.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr double kFloat = 1e-6;  // the numbers are floats of about 1

double at(std::int64_t warmup, std::int64_t step) {
  return static_cast<double>(learning_rate({LearningRateDecay::wsd, 1.0, 0.2, warmup, 100}, step));
}

TEST_CASE("schedule: wsd with a warm-up into its last fifth decays from the warm-up's end to min_lr") {
  // The warm-up reaches lr at step 89. From step 90 to step 100 the rate goes from lr to min_lr.
  CHECK(std::abs(at(90, 0) - 1.0 / 90) < kFloat);
  CHECK(std::abs(at(90, 79) - 80.0 / 90) < kFloat);
  CHECK(std::abs(at(90, 85) - 86.0 / 90) < kFloat);
  CHECK(std::abs(at(90, 89) - 1) < kFloat);
  for (std::int64_t step = 90; step <= 100; ++step)
    CHECK(std::abs(at(90, step) - (1 - 0.8 * static_cast<double>(step - 90) / 10)) < kFloat);
  CHECK(std::abs(at(90, 150) - 0.2) < kFloat);
}

TEST_CASE("schedule: wsd with a warm-up that ends before its last fifth decays in the whole last fifth") {
  for (const std::int64_t warmup : {0, 10, 79, 80}) {
    INFO("warm-up of " << warmup);
    for (std::int64_t step = warmup; step <= 80; ++step) CHECK(std::abs(at(warmup, step) - 1) < kFloat);
    for (std::int64_t step = 80; step <= 100; ++step)
      CHECK(std::abs(at(warmup, step) - (1 - 0.8 * static_cast<double>(step - 80) / 20)) < kFloat);
  }
  CHECK(std::abs(at(81, 81) - 1) < kFloat);
  CHECK(std::abs(at(81, 82) - (1 - 0.8 / 19)) < kFloat);
}

TEST_CASE("schedule: wsd with a warm-up as long as the run, or longer, has no decay; then it has min_lr") {
  CHECK(std::abs(at(100, 99) - 1) < kFloat);
  CHECK(std::abs(at(100, 100) - 0.2) < kFloat);
  CHECK(std::abs(at(200, 99) - 0.5) < kFloat);
  CHECK(std::abs(at(200, 199) - 1) < kFloat);
  CHECK(std::abs(at(200, 200) - 0.2) < kFloat);
}

}  // namespace
}  // namespace inkling
