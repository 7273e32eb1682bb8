// Fits of power laws: y = a x^-k, a straight line where both axes are logarithmic.
#pragma once

#include <vector>

namespace inkling {

struct PowerLaw {
  double factor, exponent;  // y = factor * x^-exponent
  double r2;                // of the line through the logarithms: 1 means that all points are on it

  double at(double x) const;
};

// The line of least squares through (log x, log y). All numbers are above 0; at least two x differ.
PowerLaw fit_power_law(const std::vector<double>& x, const std::vector<double>& y);

// y = floor + factor * x^-exponent. Many floors are tried, and the floor is chosen whose power law fits best.
struct FlooredPowerLaw {
  double floor;
  PowerLaw law;
};
FlooredPowerLaw fit_floor(const std::vector<double>& x, const std::vector<double>& y);

// The law of Hoffmann et al. (2022, "Chinchilla") without its floor: y = a n^-alpha + b d^-beta.
struct TwoPowerLaws {
  double a, alpha, b, beta;

  double at(double n, double d) const;
};
// Minimises the squared distances of the logarithms.
TwoPowerLaws fit_two_power_laws(const std::vector<double>& n, const std::vector<double>& d,
                                const std::vector<double>& y);

}  // namespace inkling
