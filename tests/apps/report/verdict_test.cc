// The rules of the verdict, each on a curve that has what the rule looks for.
#include "apps/report/verdict.h"

#include <cmath>

#include "apps/report/curves.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using namespace inkling::report;

// 400 losses that fall from 6 to `end` in the first half and are flat, with a little noise, in the second.
Evidence flat_run(double end = 2.0) {
  Evidence e{.lr = 0.003, .grad_clip = 1, .planned_steps = 400};
  for (int i = 0; i < 400; ++i) {
    e.steps.push_back(i + 1);
    e.losses.push_back(end + (i < 200 ? (6 - end) * (1 - i / 200.0) : 0) + 0.02 * std::sin(i * 1.7));
  }
  return e;
}

void validate(Evidence& e, const std::vector<double>& losses) {
  for (std::size_t i = 0; i < losses.size(); ++i) {
    e.validation_steps.push_back(static_cast<std::int64_t>(i) * 100);
    e.validation_losses.push_back(losses[i]);
  }
}

bool mentions(const Verdict& verdict, const std::string& flag) {
  for (const std::string& advice : verdict.advice)
    if (advice.find(flag) != std::string::npos) return true;
  return false;
}

TEST_CASE("verdict: a loss that no longer changes is flat, and a falling loss is still falling") {
  CHECK(judge(flat_run()).outlook == Outlook::flat);
  Evidence falling = flat_run();
  for (std::size_t i = 200; i < 400; ++i) falling.losses[i] -= 0.002 * static_cast<double>(i - 200);
  const Verdict verdict = judge(falling);
  CHECK(verdict.outlook == Outlook::still_falling);
  CHECK(mentions(verdict, "--steps 800"));
}

TEST_CASE("verdict: a fall that is smaller than its noise is not a fall") {
  Evidence e = flat_run();
  for (std::size_t i = 200; i < 400; ++i) e.losses[i] = 2 + 0.2 * std::sin(static_cast<double>(i) * 1.7);
  for (std::size_t i = 320; i < 400; ++i) e.losses[i] -= 0.015;
  CHECK(judge(e).outlook == Outlook::flat);
}

TEST_CASE("verdict: 20 steps are enough, and 19 steps are too early") {
  Evidence e = flat_run();
  e.steps.resize(19), e.losses.resize(19);
  CHECK(judge(e).outlook == Outlook::too_early);
  CHECK(judge(Evidence{}).outlook == Outlook::too_early);
  e = flat_run();
  e.steps.resize(20), e.losses.resize(20);
  CHECK(judge(e).outlook != Outlook::too_early);
}

TEST_CASE(
    "verdict: a validation loss that rises while the training loss falls is overfitting since its lowest "
    "step") {
  Evidence e = flat_run();
  validate(e, {6, 3, 3.01, 3.04});
  const Verdict verdict = judge(e);
  CHECK(verdict.outlook == Outlook::overfitting);
  CHECK(verdict.headline == "Overfitting since step 100.");
  CHECK(mentions(verdict, "--steps 100"));

  Evidence level = flat_run();
  validate(level, {6, 3, 3.01, 3.02});  // not 1% higher
  CHECK(judge(level).outlook == Outlook::flat);
  Evidence both_rise = flat_run(5.9);  // the training loss does not fall
  for (std::size_t i = 0; i < 400; ++i) both_rise.losses[i] = 5.9 + 0.0005 * static_cast<double>(i);
  validate(both_rise, {6, 5.9, 6.1, 6.3});
  CHECK(judge(both_rise).outlook != Outlook::overfitting);
}

TEST_CASE("verdict: three spikes are spiking, two are not") {
  Evidence e = flat_run();
  e.losses[250] = e.losses[300] = 3.5;
  CHECK(judge(e).outlook == Outlook::flat);
  e.losses[350] = 3.5;
  const Verdict verdict = judge(e);
  CHECK(verdict.outlook == Outlook::spiking);
  CHECK_THAT(verdict.why, contains("3 times, the last time at step 351"));
  CHECK(mentions(verdict, "--lr 0.001 instead of 0.003"));
}

TEST_CASE("verdict: near the minimum means at most 3% above the minimum over rows; both minima are named") {
  Evidence e = flat_run();
  validate(e, {6, 3, 2.05});
  e.min_over_rows = 2.0;
  e.min_over_stories = 1.9;
  CHECK(judge(e).outlook == Outlook::near_minimum);
  CHECK_THAT(judge(e).why,
             contains("only 2.5% above the minimum over rows, 2.000 (over whole stories 1.900)"));
  e.min_over_rows = 1.98;
  CHECK(judge(e).outlook == Outlook::flat);
}

TEST_CASE("verdict: a run has diverged if its training says so, or if its loss has gone back up") {
  Evidence stopped;
  stopped.diverged = "diverged: the loss is nan";
  CHECK(judge(stopped).outlook == Outlook::diverged);
  Evidence e = flat_run();
  for (std::size_t i = 300; i < 400; ++i) e.losses[i] = 5;
  CHECK(judge(e).outlook == Outlook::diverged);
  for (std::size_t i = 300; i < 400; ++i) e.losses[i] = 3.5;  // less than half of its fall
  CHECK(judge(e).outlook != Outlook::diverged);
}

TEST_CASE("curves: the first smoothed value is the first value, and a constant stays constant") {
  const std::vector<double> smooth = smoothed({4, 4, 4, 8}, 4);
  CHECK(std::abs(smooth[0] - 4) < 1e-12);
  CHECK(std::abs(smooth[2] - 4) < 1e-12);
  CHECK(smooth[3] > 4);
  CHECK(smooth[3] < 8);
}

TEST_CASE("curves: thinned curves keep the order, the size and every spike") {
  Curve curve;
  for (int i = 0; i < 10001; ++i) curve.x.push_back(i), curve.y.push_back(1);
  curve.y[7777] = 9;
  curve.y[42] = -3;
  const Curve thin = thinned(curve, 800);
  CHECK(thin.x.size() <= 800);
  CHECK(thin.x.size() == thin.y.size());
  CHECK(std::is_sorted(thin.x.begin(), thin.x.end()));
  CHECK(*std::max_element(thin.y.begin(), thin.y.end()) == 9);
  CHECK(*std::min_element(thin.y.begin(), thin.y.end()) == -3);
  CHECK((thinned(thin, 800).x == thin.x));
}

}  // namespace
}  // namespace inkling
