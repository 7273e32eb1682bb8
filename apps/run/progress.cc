#include "apps/run/progress.h"

#include <unistd.h>

#include <iostream>

#include "apps/run/format.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainLine = std::chrono::milliseconds(2000);
constexpr int kBarWidth = 24;
constexpr double kSmoothing = 0.1;

}  // namespace

Progress::Progress(std::int64_t total_steps, std::int64_t tokens_per_step)
    : total_steps_(total_steps), tokens_per_step_(tokens_per_step), terminal_(isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (drawn_) std::cerr << "\n";
}

std::string Progress::render(std::int64_t step, double loss) const {
  const double done = static_cast<double>(step) / static_cast<double>(total_steps_);
  const int filled = static_cast<int>(done * kBarWidth);
  std::string bar;
  for (int i = 0; i < kBarWidth; ++i) bar += i < filled ? "█" : "░";
  const auto rate = static_cast<std::int64_t>(static_cast<double>(tokens_per_step_) / smooth_ms_ * 1000.0);
  const double left = static_cast<double>(total_steps_ - step) * smooth_ms_ / 1000.0;
  return str(bar, " step ", step, "/", total_steps_, "  loss ", format_fixed(loss, 4), "  ",
             format_count(rate), " tokens/s  ",
             step == total_steps_ ? "done" : "ETA " + format_duration(left));
}

void Progress::update(std::int64_t step, double loss, double step_ms) {
  smooth_ms_ = smooth_ms_ == 0 ? step_ms : (1 - kSmoothing) * smooth_ms_ + kSmoothing * step_ms;
  const auto now = std::chrono::steady_clock::now();
  if (step != total_steps_ && now - last_ < (terminal_ ? kRedraw : kPlainLine)) return;
  last_ = now;
  if (terminal_) {
    std::cerr << "\r\033[K" << render(step, loss) << std::flush;
    drawn_ = true;
  } else {
    std::cerr << render(step, loss) << std::endl;
  }
}

void Progress::note(const std::string& line) {
  if (drawn_) std::cerr << "\r\033[K";
  drawn_ = false;
  std::cerr << line << std::endl;
}

}  // namespace inkling
