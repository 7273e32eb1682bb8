#include "apps/lessons/scale/fits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/portable_math.h"

namespace inkling {

namespace {

double power(double x, double exponent) {
  return portable::exp(exponent * portable::log(x));
}

std::vector<double> logs(const std::vector<double>& x) {
  std::vector<double> result;
  for (const double v : x) result.push_back(portable::log(v));
  return result;
}

double mean_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v;
  return sum / static_cast<double>(x.size());
}

// The sum of the squared distances of log y from the logarithm of the two laws. The parameters are log a,
// alpha, log b, beta.
using Parameters4 = std::array<double, 4>;
double distance(const Parameters4& p, const std::vector<double>& log_n, const std::vector<double>& log_d,
                const std::vector<double>& log_y) {
  double sum = 0;
  for (std::size_t i = 0; i < log_y.size(); ++i) {
    const double y = portable::exp(p[0] - p[1] * log_n[i]) + portable::exp(p[2] - p[3] * log_d[i]);
    const double off = portable::log(y) - log_y[i];
    sum += off * off;
  }
  return sum;
}

// Solves a system of four linear equations by elimination with pivots. The rows have the right side at the
// end.
Parameters4 solve(std::array<std::array<double, 5>, 4> rows) {
  for (std::size_t i = 0; i < 4; ++i) {
    std::size_t pivot = i;
    for (std::size_t r = i + 1; r < 4; ++r) {
      if (std::abs(rows[r][i]) > std::abs(rows[pivot][i])) pivot = r;
    }
    std::swap(rows[i], rows[pivot]);
    for (std::size_t r = 0; r < 4; ++r) {
      if (r == i) continue;
      const double factor = rows[r][i] / rows[i][i];
      for (std::size_t c = i; c < 5; ++c) rows[r][c] -= factor * rows[i][c];
    }
  }
  return {rows[0][4] / rows[0][0], rows[1][4] / rows[1][1], rows[2][4] / rows[2][2], rows[3][4] / rows[3][3]};
}

// One step of Levenberg and Marquardt from p: the solution of the linearised problem, damped.
Parameters4 damped_step(const Parameters4& p, double damping, const std::vector<double>& log_n,
                        const std::vector<double>& log_d, const std::vector<double>& log_y) {
  std::array<std::array<double, 5>, 4> rows{};
  for (std::size_t i = 0; i < log_y.size(); ++i) {
    const double of_n = portable::exp(p[0] - p[1] * log_n[i]), of_d = portable::exp(p[2] - p[3] * log_d[i]);
    const double y = of_n + of_d;
    const Parameters4 slope = {of_n / y, -log_n[i] * of_n / y, of_d / y, -log_d[i] * of_d / y};
    for (std::size_t r = 0; r < 4; ++r) {
      for (std::size_t c = 0; c < 4; ++c) rows[r][c] += slope[r] * slope[c];
      rows[r][4] += slope[r] * (log_y[i] - portable::log(y));
    }
  }
  for (std::size_t r = 0; r < 4; ++r) rows[r][r] *= 1 + damping;
  Parameters4 next = solve(rows);
  for (std::size_t i = 0; i < 4; ++i) next[i] += p[i];
  return next;
}

}  // namespace

double PowerLaw::at(double x) const {
  return factor * power(x, -exponent);
}

double TwoPowerLaws::at(double n, double d) const {
  return a * power(n, -alpha) + b * power(d, -beta);
}

PowerLaw fit_power_law(const std::vector<double>& x, const std::vector<double>& y) {
  const std::vector<double> log_x = logs(x), log_y = logs(y);
  const double mean_x = mean_of(log_x), mean_y = mean_of(log_y);
  double xx = 0, xy = 0, yy = 0;
  for (std::size_t i = 0; i < log_x.size(); ++i) {
    xx += (log_x[i] - mean_x) * (log_x[i] - mean_x);
    xy += (log_x[i] - mean_x) * (log_y[i] - mean_y);
    yy += (log_y[i] - mean_y) * (log_y[i] - mean_y);
  }
  if (!(xx > 0)) fail("fit_power_law: all x are the same, expected at least two");
  const double slope = xy / xx;
  return {portable::exp(mean_y - slope * mean_x), -slope, yy > 0 ? xy * xy / (xx * yy) : 1.0};
}

FlooredPowerLaw fit_floor(const std::vector<double>& x, const std::vector<double>& y) {
  constexpr int kTried = 1000;
  const double lowest = *std::min_element(y.begin(), y.end());
  FlooredPowerLaw best{0, {0, 0, -1}};
  for (int i = 0; i < kTried; ++i) {
    const double floor = lowest * i / kTried;
    std::vector<double> above;
    for (const double v : y) above.push_back(v - floor);
    const PowerLaw law = fit_power_law(x, above);
    if (law.r2 > best.law.r2) best = {floor, law};
  }
  return best;
}

TwoPowerLaws fit_two_power_laws(const std::vector<double>& n, const std::vector<double>& d,
                                const std::vector<double>& y) {
  constexpr int kSteps = 500;
  const std::vector<double> log_n = logs(n), log_d = logs(d), log_y = logs(y);
  // The first guess: each law alone explains half of every y.
  const PowerLaw by_n = fit_power_law(n, y), by_d = fit_power_law(d, y);
  Parameters4 p = {portable::log(by_n.factor / 2), by_n.exponent, portable::log(by_d.factor / 2),
                   by_d.exponent};
  double damping = 1, now = distance(p, log_n, log_d, log_y);
  for (int step = 0; step < kSteps; ++step) {
    const Parameters4 next = damped_step(p, damping, log_n, log_d, log_y);
    const double then = distance(next, log_n, log_d, log_y);
    const bool better = then < now;  // false for NaN
    if (better) p = next, now = then;
    damping = better ? damping / 3 : damping * 4;
    if (damping > 1e12) break;
  }
  return {portable::exp(p[0]), p[1], portable::exp(p[2]), p[3]};
}

}  // namespace inkling
