// Numbers as text, for people to read.
#pragma once

#include <cstdint>
#include <string>

namespace inkling {

std::string format_duration(double seconds);  // format_duration(75) is "1m15s"
std::string format_count(std::int64_t n);     // format_count(124475904) is "124,475,904"
std::string format_number_of(std::int64_t n, const std::string& thing);  // (2, "layer") is "2 layers"
std::string format_fixed(double x, int digits);                          // format_fixed(3.14159, 2) is "3.14"

}  // namespace inkling
