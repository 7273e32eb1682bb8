// Reads the JSON files of a run directory and checks everything in them.
//
// parse_json() refuses text that is not JSON, that is nested too deep, or that has a key twice in one object.
// A JsonObject then returns the values of an object by key. It checks the type and the range of each value,
// so no code converts a number that does not fit. Every error is an Error of one line that names the file,
// the key, what was expected and what was found:
//   runs/a/state.json: data.epoch is 1e+19, expected an integer from 0 to 68719476736
// This file does not know the meaning of the keys. Read next: train_settings.h and state_file.h, which use
// this file.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace inkling {

// The maximum number of levels in a JSON file. inkling's own files have at most 4. Functions of
// nlohmann::json call themselves once for each level, so the limit also keeps the stack small.
constexpr int kMostJsonLevels = 16;
// The maximum size of a JSON file: much larger than any JSON file that inkling writes, and still little
// memory.
constexpr std::int64_t kMostJsonBytes = std::int64_t{16} << 20;

// Parses JSON. `source` is the path of the file that contains `text`; errors start with this path. Error if
// the text has more than `most_bytes`.
nlohmann::json parse_json(std::string_view text, const std::string& source,
                          std::int64_t most_bytes = kMostJsonBytes);
nlohmann::json read_json(const std::string& path);

class JsonObject {
 public:
  // Makes a JsonObject from `value`. Error unless `value` is an object. `value` must outlive the JsonObject.
  JsonObject(const nlohmann::json& value, std::string source) : JsonObject(value, std::move(source), "") {}

  bool has(const std::string& key) const { return value_.contains(key); }
  // Error if this JSON object has a key that the object `known` does not have.
  void expect_no_other_keys(const nlohmann::json& known) const;

  // These functions return the value of `key`. Error if the value is missing, has another type, or is outside
  // least .. most.
  std::int64_t integer(const std::string& key, std::int64_t least, std::int64_t most) const;
  std::uint64_t unsigned_integer(const std::string& key) const;
  double number(const std::string& key) const;
  bool boolean(const std::string& key) const;
  std::string text(const std::string& key) const;
  std::vector<std::int64_t> integers(const std::string& key, std::int64_t least, std::int64_t most) const;
  JsonObject object(const std::string& key) const;
  std::vector<JsonObject> objects(const std::string& key) const;  // an array of objects

 private:
  JsonObject(const nlohmann::json& value, std::string source, std::string prefix);

  const nlohmann::json& at(const std::string& key, const std::string& expected) const;
  std::string name_of(const std::string& key) const;
  [[noreturn]] void refuse(const std::string& key, const std::string& expected) const;

  const nlohmann::json& value_;
  std::string source_;
  std::string prefix_;  // printed before a key in messages: "" or, inside {"data": {...}}, "data."
};

}  // namespace inkling
