// The progress of a run, on stderr. On a terminal it is one line that is redrawn. In a file, in a pipe and on
// a dumb terminal it is one plain line after another.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "apps/run/terminal.h"

namespace inkling {

// The state of a run, as one line of at most `columns` characters (0: any number). If the line is too long,
// the bar becomes shorter; then the bar, the tokens per second, the remaining time and the loss are left out,
// in this order.
struct ProgressState {
  std::int64_t step = 0, total_steps = 0;
  double loss = 0, tokens_per_s = 0, seconds_left = 0;
};
std::string progress_line(const ProgressState& state, int columns, bool utf8);

class Progress {
 public:
  // `tokens_per_step` is needed for the tokens per second. On a terminal the line is redrawn at most ten
  // times a second. Elsewhere a line is printed about every two seconds. `look` is called before each line.
  Progress(
      std::int64_t total_steps, std::int64_t tokens_per_step,
      std::function<Terminal()> look = [] { return terminal(2); });
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t step, double loss, double step_ms);
  void note(const std::string& line);  // prints a line above the progress; this line stays

 private:
  std::int64_t total_steps_;
  std::int64_t tokens_per_step_;
  std::function<Terminal()> look_;
  bool drawn_ = false;
  double smooth_ms_ = 0;  // a moving average of a step's time, so that the ETA does not jump
  std::chrono::steady_clock::time_point last_;
};

}  // namespace inkling
