// Progress: prints the progress of a run to stderr. On a terminal it is a bar that is redrawn; in a file or a
// pipe it is a sequence of lines.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace inkling {

class Progress {
 public:
  // `tokens_per_step` is needed to print the tokens per second. On a terminal the bar is redrawn at most ten
  // times a second. Otherwise a line is printed about every two seconds.
  Progress(std::int64_t total_steps, std::int64_t tokens_per_step);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void update(std::int64_t step, double loss, double step_ms);
  void note(const std::string& line);  // prints a line above the progress bar; the line stays there

 private:
  std::string render(std::int64_t step, double loss) const;

  std::int64_t total_steps_;
  std::int64_t tokens_per_step_;
  bool terminal_;
  bool drawn_ = false;
  double smooth_ms_ = 0;  // a moving average of a step's time, so that the ETA does not jump
  std::chrono::steady_clock::time_point last_;
};

}  // namespace inkling
