#include "apps/report/curves.h"

#include <algorithm>
#include <cmath>

namespace inkling::report {

std::vector<double> smoothed(const std::vector<double>& y, double window) {
  const double keep = 1 - 1 / window;
  std::vector<double> means;
  means.reserve(y.size());
  double mean = 0, kept = 1;
  for (const double value : y) {
    mean = keep * mean + (1 - keep) * value;
    kept *= keep;
    means.push_back(mean / (1 - kept));
  }
  return means;
}

double smoothing_window(std::size_t count) {
  return std::clamp(static_cast<double>(count) / 50, 1.0, 200.0);
}

std::vector<std::size_t> spikes(const std::vector<double>& y) {
  constexpr double kShare = 0.05;  // the weight of the newest value in the recent mean of about 20 values
  constexpr double kDeviations = 8, kLeast = 0.3;
  std::vector<std::size_t> found;
  if (y.empty()) return found;
  const std::size_t first = std::max<std::size_t>(20, y.size() / 10);
  double mean = y[0], deviation = 0;
  bool inside = false;
  for (std::size_t i = 1; i < y.size(); ++i) {
    const bool high = y[i] > mean + std::max(kLeast, kDeviations * deviation);
    if (high && !inside && i >= first) found.push_back(i);
    inside = high;
    deviation += kShare * (std::abs(y[i] - mean) - deviation);
    mean += kShare * (y[i] - mean);
  }
  return found;
}

Curve thinned(const Curve& curve, std::size_t most) {
  const std::size_t count = curve.x.size(), parts = std::max<std::size_t>(1, most / 2);
  if (count <= most) return curve;
  Curve thin;
  const auto keep = [&](std::size_t i) {
    thin.x.push_back(curve.x[i]);
    thin.y.push_back(curve.y[i]);
  };
  for (std::size_t part = 0; part < parts; ++part) {
    const auto begin = curve.y.begin() + static_cast<std::ptrdiff_t>(part * count / parts);
    const auto end = curve.y.begin() + static_cast<std::ptrdiff_t>((part + 1) * count / parts);
    const auto [low, high] = std::minmax_element(begin, end);
    const auto a = static_cast<std::size_t>(std::min(low, high) - curve.y.begin());
    const auto b = static_cast<std::size_t>(std::max(low, high) - curve.y.begin());
    keep(a);
    if (b != a) keep(b);
  }
  return thin;
}

}  // namespace inkling::report
