// JSON of bounded depth and size, read in linear time.
#include "apps/run/json_bounds.h"

#include <ctime>

#include "core/error.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// [1,1,...] with so many ones
std::string ones(std::int64_t count) {
  std::string text = "[1";
  for (std::int64_t i = 1; i < count; ++i) text += ",1";
  return text + "]";
}

TEST_CASE("json bounds: 2^21 values are accepted, and one more is refused") {
  CHECK(parse_bounded_json(ones(kMostJsonValues - 1), {2, true}).size() == std::size_t{kMostJsonValues - 1});
  CHECK_THROWS_WITH(parse_bounded_json(ones(kMostJsonValues), {2, true}),
                    contains("more than 2097152 values, expected at most 2097152"));
}

TEST_CASE("json bounds: levels and keys are checked as asked") {
  CHECK(parse_bounded_json(R"({"a":[{"b":1}]})", {3, true}).at("a").size() == 1);
  CHECK_THROWS_WITH(parse_bounded_json(R"({"a":[{"b":1}]})", {2, true}),
                    contains("nested deeper than 2 levels"));
  CHECK(parse_bounded_json("[[],[],[]]", {2, true}).size() == 3);  // levels count open brackets, not all
  CHECK_THROWS_WITH(parse_bounded_json(R"({"a":1,"b":{"a":1},"a":2})", {3, true}),
                    contains("the key \"a\" appears twice"));
  CHECK(parse_bounded_json(R"({"a":1,"a":2})", {3, false}).at("a") == 2);
}

TEST_CASE("json bounds: a zero byte does not end the text") {
  const std::string text("{}\0garbage", 10);
  CHECK_THROWS_WITH(parse_bounded_json(text, {2, true}), contains("byte 2 is 0"));
  CHECK_THROWS_WITH(parse_bounded_json("{} x", {2, true}), contains("not valid JSON: parse error"));
}

// A million values are read in about a tenth of a second. If each value took time proportional to the values
// before it, this would take minutes.
TEST_CASE("json bounds: the time is proportional to the length") {
  std::string text = R"({"x":[{})";
  for (int i = 0; i < 1000000; ++i) text += ",{}";
  text += "]}";
  const auto start = std::clock();
  CHECK(parse_bounded_json(text, {3, true}).at("x").size() == 1000001);
  CHECK(static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC < 20);
}

}  // namespace
}  // namespace inkling
