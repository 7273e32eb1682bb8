// Curves of a run: smoothing noisy losses, finding spikes, and leaving out points that no screen can show.
#pragma once

#include <cstdint>
#include <vector>

namespace inkling::report {

struct Curve {
  std::vector<double> x, y;  // of the same length
};

// The exponential mean over about `window` values: m_i = (1 - a) m_{i-1} + a y_i with a = 1/window, divided
// by 1 - (1 - a)^i, so that the first means are not too small.
std::vector<double> smoothed(const std::vector<double>& y, double window);

// Returns the window for smoothing a curve of `count` values: count / 50, at least 1 and at most 200.
double smoothing_window(std::size_t count);

// The indices at which a spike begins: the value is above the recent mean by more than 8 times the recent
// mean deviation, and by more than 0.3. The first tenth of the curve, at least 20 values, has no spikes.
std::vector<std::size_t> spikes(const std::vector<double>& y);

// The same curve with about `most` points. Each part of the curve keeps its lowest and its highest value, so
// that spikes stay visible.
Curve thinned(const Curve& curve, std::size_t most);

}  // namespace inkling::report
