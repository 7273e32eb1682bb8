// Flags whose value is a number: each has a range.
#pragma once

#include <CLI/CLI.hpp>
#include <charconv>
#include <string>
#include <type_traits>

#include "core/error.h"

namespace inkling {

// Parses a text that must be exactly one number. Returns false if it is not a number from `least` to `most`.
template <class T>
bool parse_number(const std::string& text, T least, T most, T& value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && stop == end && value >= least && value <= most;
}

// Makes a flag refuse everything except numbers from `least` to `most`: UsageError "--threads is 0, expected
// a whole number from 1 to 1024". The range is also in the help.
template <class T>
CLI::Option* number_flag(CLI::Option* option, T least, T most) {
  const auto parse = [name = option->get_name(), least, most](std::string& text) {
    T value{};
    if (!parse_number(text, least, most, value)) {
      throw UsageError(str(name, " is ", text.empty() ? "empty" : text, ", expected a ",
                           std::is_integral_v<T> ? "whole number" : "number", " from ", least, " to ", most));
    }
    // CLI11 would read 010 as an octal number.
    if constexpr (std::is_integral_v<T>) text = std::to_string(value);
    return std::string();
  };
  return option->transform(CLI::Validator(parse, str(least, " to ", most)));
}

constexpr int kMostThreads = 1024;

}  // namespace inkling
