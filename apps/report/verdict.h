// The verdict on a run: what its curves say, in words, and what to try next.
//
// The first rule that applies decides:
//   1. diverged       training stopped at a number that is not finite, or the smoothed loss has gone back up
//                     by half of its fall or more
//   2. too early      fewer than 20 steps
//   3. overfitting    the validation loss was lowest at step N and is now 1% higher (two or more validations
//                     later) or 5% higher, while the training loss has gone on falling
//   4. spiking        three or more spikes (curves.h)
//   5. near minimum   the validation loss is at most 3% above the minimum over rows (apps/text/stories.h)
//   6. still falling  the mean loss of the last fifth of the steps is lower than the mean loss of the fifth
//                     before it, by 0.5% and by two standard errors
//   7. flat           otherwise
// This file reads no files and makes no pages. Read next: report.h, which shows the verdict.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace inkling::report {

struct Evidence {
  std::vector<std::int64_t> steps = {};  // the steps of the losses
  std::vector<double> losses = {};
  std::vector<std::int64_t> validation_steps = {};
  std::vector<double> validation_losses = {};
  std::optional<double> min_over_rows = {}, min_over_stories = {};  // the theoretical minima of the stories
  std::string diverged = {};  // the message of the training that stopped
  double lr = 0, grad_clip = 0;
  std::int64_t planned_steps = 0;
};

enum class Outlook { diverged, too_early, overfitting, spiking, near_minimum, still_falling, flat };

struct Verdict {
  Outlook outlook;
  std::string headline;             // "Overfitting since step 400."
  std::string why;                  // one or two sentences with the numbers
  std::vector<std::string> advice;  // what to try
};

Verdict judge(const Evidence& evidence);

}  // namespace inkling::report
