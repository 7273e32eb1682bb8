#include "apps/page/numbers.h"

#include <cmath>
#include <cstdio>

#include "apps/run/format.h"

namespace inkling::page {

namespace {

// C prints 1.4e-05 and 1e+03, JavaScript prints 1.4e-5 and 1e+3. Both are printed as 1.4e-5 and 1e3.
std::string scientific(double value, int digits) {
  if (value == 0) return "0";
  char text[64];
  std::snprintf(text, sizeof text, "%.*e", digits, value);
  const std::string whole = text;
  const std::size_t e = whole.find('e');
  const int exponent = std::stoi(whole.substr(e + 1));
  return whole.substr(0, e + 1) + std::to_string(exponent);
}

}  // namespace

std::string printed(double value, const About& about) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  if (about.print == Print::count) return format_count(std::llround(value));
  const std::string text =
      about.print == Print::scientific ? scientific(value, about.digits) : format_fixed(value, about.digits);
  // A negative number that rounds to 0 is printed without a sign.
  return text[0] == '-' && text.find_first_of("123456789") == std::string::npos ? text.substr(1) : text;
}

}  // namespace inkling::page
