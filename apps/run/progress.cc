#include "apps/run/progress.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "apps/run/format.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainLine = std::chrono::milliseconds(2000);
constexpr std::int64_t kWidestBar = 24, kNarrowestBar = 8;
constexpr double kSmoothing = 0.1;
constexpr const char* kEraseLine = "\r\033[K";

std::string bar_of(const ProgressState& state, std::int64_t width, bool utf8) {
  const double done = static_cast<double>(state.step) / static_cast<double>(state.total_steps);
  const auto filled = static_cast<std::int64_t>(done * static_cast<double>(width));
  std::string bar;
  for (std::int64_t i = 0; i < width; ++i) {
    if (utf8)
      bar += i < filled ? "█" : "░";
    else
      bar += i < filled ? '#' : '.';
  }
  return bar;
}

}  // namespace

std::string progress_line(const ProgressState& state, int columns, bool utf8) {
  const std::string step = str("step ", state.step, "/", state.total_steps);
  const std::string loss = "  loss " + format_fixed(state.loss, 4);
  const std::string speed =
      str("  ", format_count(static_cast<std::int64_t>(state.tokens_per_s)), " tokens/s");
  const std::string left =
      state.step == state.total_steps ? "  done" : "  ETA " + format_duration(state.seconds_left);
  const std::string texts[] = {step + loss + speed + left, step + loss + left, step + loss, step};
  if (columns == 0) return bar_of(state, kWidestBar, utf8) + " " + texts[0];
  const std::int64_t room = columns - 1 - std::ssize(texts[0]);
  if (room >= kNarrowestBar) return bar_of(state, std::min(room, kWidestBar), utf8) + " " + texts[0];
  for (const std::string& text : texts) {
    if (std::ssize(text) <= columns) return text;
  }
  return step.substr(0, static_cast<std::size_t>(columns));
}

Progress::Progress(std::int64_t total_steps, std::int64_t tokens_per_step, std::function<Terminal()> look)
    : total_steps_(total_steps), tokens_per_step_(tokens_per_step), look_(std::move(look)) {}

Progress::~Progress() {
  if (drawn_) std::cerr << "\n";
}

void Progress::update(std::int64_t step, double loss, double step_ms) {
  smooth_ms_ = smooth_ms_ == 0 ? step_ms : (1 - kSmoothing) * smooth_ms_ + kSmoothing * step_ms;
  const auto now = std::chrono::steady_clock::now();
  if (step != total_steps_ && now - last_ < kRedraw) return;
  const Terminal terminal = look_();
  if (step != total_steps_ && !terminal.redraws && now - last_ < kPlainLine) return;
  last_ = now;
  const ProgressState state{.step = step,
                            .total_steps = total_steps_,
                            .loss = loss,
                            .tokens_per_s = static_cast<double>(tokens_per_step_) / smooth_ms_ * 1000.0,
                            .seconds_left = static_cast<double>(total_steps_ - step) * smooth_ms_ / 1000.0};
  if (terminal.redraws) {
    // A terminal may move to the next line when its last column is filled, so that column stays empty.
    std::cerr << kEraseLine << progress_line(state, std::max(1, terminal.columns - 1), terminal.utf8)
              << std::flush;
    drawn_ = true;
  } else {
    std::cerr << progress_line(state, terminal.columns, terminal.utf8) << std::endl;
  }
}

void Progress::note(const std::string& line) {
  if (drawn_) std::cerr << kEraseLine;
  drawn_ = false;
  std::cerr << line << std::endl;
}

}  // namespace inkling
