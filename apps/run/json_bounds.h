// Parses JSON of bounded depth and size. The text is read twice: the first time only to check it, so a text
// that is refused has used no memory, and the time is proportional to its length.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

namespace inkling {

// The most values (numbers, texts, arrays, objects, ...) in a JSON text: a value takes up to 100 bytes of
// memory.
constexpr std::int64_t kMostJsonValues = std::int64_t{1} << 21;

struct JsonBounds {
  int levels;          // of objects and arrays inside of each other
  bool distinct_keys;  // a key may appear only once in an object; otherwise the last one counts
};

// Returns the value of a JSON text. Error if it is not valid JSON or is outside of the bounds; the message
// does not say where the text comes from.
nlohmann::json parse_bounded_json(std::string_view text, const JsonBounds& bounds);

}  // namespace inkling
