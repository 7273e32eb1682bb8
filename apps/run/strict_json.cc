#include "apps/run/strict_json.h"

#include <optional>
#include <utility>

#include "apps/run/json_bounds.h"
#include "core/binary_file.h"
#include "core/error.h"

namespace inkling {

using nlohmann::json;

namespace {

// Returns a JSON value as text for an error message: short, and without line breaks.
std::string shown(const json& value) {
  if (value.is_object()) return "an object";
  if (value.is_array()) return "an array";
  constexpr std::size_t kShown = 60;
  std::string text = value.dump(-1, ' ', true);  // `true`: only ASCII, so that the text can be cut anywhere
  if (text.size() > kShown) text = text.substr(0, kShown) + "...";
  return text;
}

std::string integer_from(std::int64_t least, std::int64_t most) {
  return str("an integer from ", least, " to ", most);
}

std::optional<std::int64_t> integer_in(const json& value, std::int64_t least, std::int64_t most) {
  if (value.is_number_unsigned()) {
    const auto number = value.get<std::uint64_t>();
    if (std::cmp_greater_equal(number, least) && std::cmp_less_equal(number, most))
      return static_cast<std::int64_t>(number);
  } else if (value.is_number_integer()) {
    const auto number = value.get<std::int64_t>();
    if (number >= least && number <= most) return number;
  }
  return std::nullopt;
}

}  // namespace

json parse_json(std::string_view text, const std::string& source, std::int64_t most_bytes) {
  if (std::ssize(text) > most_bytes)
    fail(source, ": has ", text.size(), " bytes of JSON, expected at most ", most_bytes);
  try {
    return parse_bounded_json(text, {.levels = kMostJsonLevels, .distinct_keys = true});
  } catch (const Error& error) {
    fail(source, ": ", error.what());
  }
}

json read_json(const std::string& path) {
  return parse_json(FileView(path).text(), path);
}

JsonObject::JsonObject(const json& value, std::string source, std::string prefix)
    : value_(value), source_(std::move(source)), prefix_(std::move(prefix)) {
  if (!value.is_object()) fail(source_, ": is ", shown(value), ", expected an object");
}

std::string JsonObject::name_of(const std::string& key) const {
  const std::string quoted = json(key).dump(-1, ' ', true);  // a key from a file may contain any character
  return prefix_ + (quoted.size() == key.size() + 2 ? key : quoted);
}

void JsonObject::refuse(const std::string& key, const std::string& expected) const {
  const auto found = value_.find(key);
  fail(source_, ": ", name_of(key), " is ", found == value_.end() ? "missing" : shown(*found), ", expected ",
       expected);
}

const json& JsonObject::at(const std::string& key, const std::string& expected) const {
  const auto found = value_.find(key);
  if (found == value_.end()) refuse(key, expected);
  return *found;
}

void JsonObject::expect_no_other_keys(const json& known) const {
  for (const auto& [key, value] : value_.items()) {
    if (!known.contains(key))
      fail(source_, ": ", name_of(key), " is unknown, expected only keys that inkling writes");
  }
}

std::int64_t JsonObject::integer(const std::string& key, std::int64_t least, std::int64_t most) const {
  const std::string expected = integer_from(least, most);
  if (const auto found = integer_in(at(key, expected), least, most)) return *found;
  refuse(key, expected);
}

std::uint64_t JsonObject::unsigned_integer(const std::string& key) const {
  const std::string expected = str("an integer from 0 to ", UINT64_MAX);
  const json& value = at(key, expected);
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  refuse(key, expected);
}

double JsonObject::number(const std::string& key) const {
  const json& value = at(key, "a number");
  if (value.is_number()) return value.get<double>();
  refuse(key, "a number");
}

bool JsonObject::boolean(const std::string& key) const {
  const json& value = at(key, "true or false");
  if (value.is_boolean()) return value.get<bool>();
  refuse(key, "true or false");
}

std::string JsonObject::text(const std::string& key) const {
  const json& value = at(key, "a text");
  if (value.is_string()) return value.get<std::string>();
  refuse(key, "a text");
}

std::vector<std::int64_t> JsonObject::integers(const std::string& key, std::int64_t least,
                                               std::int64_t most) const {
  const std::string expected = "an array, each element " + integer_from(least, most);
  const json& value = at(key, expected);
  if (!value.is_array()) refuse(key, expected);
  std::vector<std::int64_t> all;
  for (const json& element : value) {
    const auto number = integer_in(element, least, most);
    if (!number)
      fail(source_, ": ", name_of(key), "[", all.size(), "] is ", shown(element), ", expected ",
           integer_from(least, most));
    all.push_back(*number);
  }
  return all;
}

JsonObject JsonObject::object(const std::string& key) const {
  const json& value = at(key, "an object");
  if (!value.is_object()) refuse(key, "an object");
  return {value, source_, name_of(key) + "."};
}

std::vector<JsonObject> JsonObject::objects(const std::string& key) const {
  const json& value = at(key, "an array of objects");
  if (!value.is_array()) refuse(key, "an array of objects");
  std::vector<JsonObject> all;
  for (const json& element : value) {
    const std::string name = str(name_of(key), "[", all.size(), "]");
    if (!element.is_object()) fail(source_, ": ", name, " is ", shown(element), ", expected an object");
    all.push_back({element, source_, name + "."});
  }
  return all;
}

}  // namespace inkling
