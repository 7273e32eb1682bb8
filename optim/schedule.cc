#include "optim/schedule.h"

#include <algorithm>

#include "core/error.h"
#include "core/portable_math.h"

namespace inkling {

namespace {

constexpr LearningRateDecay kDecays[] = {LearningRateDecay::constant, LearningRateDecay::linear,
                                         LearningRateDecay::cosine, LearningRateDecay::wsd};
constexpr double kWsdDecayStart = 0.8;  // wsd starts to decay after this fraction of all steps

// Returns the fraction of the way from step `begin` to step `end` that `step` has covered: 0 to 1.
double progress(std::int64_t step, double begin, double end) {
  if (end <= begin) return 1;
  return std::clamp((static_cast<double>(step) - begin) / (end - begin), 0.0, 1.0);
}

// Returns the fraction of lr - min_lr that remains at `step`, after the warm-up: from 1 down to 0.
double remaining(const LearningRateSchedule& s, std::int64_t step) {
  const auto begin = static_cast<double>(s.warmup_steps), end = static_cast<double>(s.steps);
  switch (s.decay) {
    case LearningRateDecay::constant:
      return 1;
    case LearningRateDecay::linear:
      return 1 - progress(step, begin, end);
    case LearningRateDecay::cosine:
      return 0.5 * (1 + portable::cos_pi(progress(step, begin, end)));
    case LearningRateDecay::wsd:
      return 1 - progress(step, std::max(begin, kWsdDecayStart * end), end);
  }
  return 1;
}

}  // namespace

const char* name(LearningRateDecay decay) {
  switch (decay) {
    case LearningRateDecay::constant:
      return "constant";
    case LearningRateDecay::linear:
      return "linear";
    case LearningRateDecay::cosine:
      return "cosine";
    case LearningRateDecay::wsd:
      return "wsd";
  }
  return "";
}

LearningRateDecay parse_learning_rate_decay(std::string_view text) {
  for (LearningRateDecay decay : kDecays) {
    if (text == name(decay)) return decay;
  }
  fail("schedule is '", text, "', expected constant, linear, cosine or wsd");
}

float learning_rate(const LearningRateSchedule& s, std::int64_t step) {
  if (step < s.warmup_steps) {
    return static_cast<float>(s.lr * static_cast<double>(step + 1) / static_cast<double>(s.warmup_steps));
  }
  return static_cast<float>(s.min_lr + remaining(s, step) * (s.lr - s.min_lr));
}

}  // namespace inkling
