#include "apps/run/format.h"

#include <cmath>
#include <cstdio>

#include "core/error.h"

namespace inkling {

std::string format_number_of(std::int64_t n, const std::string& thing) {
  return format_count(n) + " " + thing + (n == 1 ? "" : "s");
}

std::string format_fixed(double x, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, x);
  return text;
}

std::string format_count(std::int64_t n) {
  const std::string digits = std::to_string(n);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    grouped += digits[i];
    const std::size_t left = digits.size() - 1 - i;
    if (left > 0 && left % 3 == 0 && digits[i] != '-') grouped += ',';
  }
  return grouped;
}

std::string format_duration(double seconds) {
  const auto s = static_cast<std::int64_t>(std::llround(seconds));
  if (s < 60) return str(s, "s");
  const auto two = [](std::int64_t n) { return str(n < 10 ? "0" : "", n); };
  if (s < 3600) return str(s / 60, "m", two(s % 60), "s");
  return str(s / 3600, "h", two(s % 3600 / 60), "m");
}

}  // namespace inkling
