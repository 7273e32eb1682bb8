#include "apps/run/json_bounds.h"

#include <set>
#include <string>
#include <vector>

#include "core/error.h"

namespace inkling {

using nlohmann::json;

namespace {

// The JSON parser calls a function of this object for each piece of the text.
class Checker : public json::json_sax_t {
 public:
  explicit Checker(const JsonBounds& bounds) : bounds_(bounds) {}

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return value(); }
  bool number_unsigned(number_unsigned_t) override { return value(); }
  bool number_float(number_float_t, const string_t&) override { return value(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }

  bool start_object(std::size_t) override {
    if (bounds_.distinct_keys) keys_.emplace_back();
    return open();
  }
  bool key(string_t& key) override {
    if (bounds_.distinct_keys && !keys_.back().insert(key).second) {
      fail("the key ", json(key).dump(-1, ' ', true, json::error_handler_t::replace).substr(0, kShown),
           " appears twice in one object, expected once");
    }
    return true;
  }
  bool end_object() override {
    if (bounds_.distinct_keys) keys_.pop_back();
    return close();
  }
  bool start_array(std::size_t) override { return open(); }
  bool end_array() override { return close(); }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& error) override {
    // The message starts with a code for programs, "[json.exception.parse_error.101] ".
    const std::string_view what = error.what();
    fail("not valid JSON: ", what.substr(what.find("] ") + 2));
  }

 private:
  static constexpr std::size_t kShown = 60;

  bool value() {
    if (++values_ > kMostJsonValues)
      fail("the JSON has more than ", kMostJsonValues, " values, expected at most ", kMostJsonValues);
    return true;
  }
  bool open() {
    if (++levels_ > bounds_.levels)
      fail("the JSON is nested deeper than ", bounds_.levels, " levels, expected at most ", bounds_.levels);
    return value();
  }
  bool close() {
    --levels_;
    return true;
  }

  const JsonBounds bounds_;
  std::int64_t values_ = 0;
  int levels_ = 0;
  std::vector<std::set<std::string>> keys_;  // the keys so far of each object that is not complete yet
};

}  // namespace

json parse_bounded_json(std::string_view text, const JsonBounds& bounds) {
  // nlohmann::json takes a zero byte for the end of the text, and would not see what follows.
  if (const std::size_t at = text.find('\0'); at != text.npos)
    fail("not valid JSON: byte ", at, " is 0, expected text");
  Checker checker(bounds);
  json::sax_parse(text.begin(), text.end(), &checker);
  return json::parse(text.begin(), text.end());
}

}  // namespace inkling
