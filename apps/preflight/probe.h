// Measures how fast this machine takes a training step: a miniature of the run is trained for a few steps.
//
// The miniature has the run's width, heads and precision, but only one block, a small vocabulary, and so few
// tokens that its steps take a fraction of a second. Each op of these steps is timed (core/profile.h). The
// time of an op in the real step is predicted in proportion to its work: twice the work takes twice the time.
// So no table of the speeds of other machines is needed.
#pragma once

#include <string>
#include <vector>

#include "apps/preflight/preflight.h"

namespace inkling {

struct OpTime {
  Phase phase;
  std::string name;
  DType operands;
  double flops, bytes, seconds;  // of all calls in a step
};

// The ops of a step of the miniature. Takes about half a second for GPT-2 124M, and less for small models.
std::vector<OpTime> probe(const PreflightRequest& request);

// The time of the step that `preflight` describes. Error if an op of it was not measured.
double predicted_seconds(const Preflight& preflight, const std::vector<OpTime>& measured);
// The time of the backward passes of a step, with what they recompute.
double predicted_backward_seconds(const Preflight& preflight, const std::vector<OpTime>& measured);
// If nothing else uses the machine, the real time is at most this factor longer or shorter than predicted.
constexpr double kTimeFactor = 1.3;

// The precision of a run without --precision: bf16 if a step in bf16 takes at most nine tenths of the time of
// a step in f32.
struct PrecisionChoice {
  Precision precision;
  std::string reason;  // "a step takes 3.1 ms, in f32 5.0 ms"
  double seconds = 0;  // the time of a step
};
PrecisionChoice choose_precision(double f32_seconds, double bf16_seconds);
PrecisionChoice faster_precision(const PreflightRequest& request);  // measures both

}  // namespace inkling
