// JSON with damaged or wrong contents. Each is refused with one line that has the file, the key, the expected
// and the found value.
#include "apps/run/strict_json.h"

#include "core/error.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();

std::string arrays(int levels) {
  const auto n = static_cast<std::size_t>(levels);
  return std::string(n, '[') + std::string(n, ']');
}

// Reads {"key": `value`} as an integer.
std::int64_t integer(const std::string& value, std::int64_t least = 0, std::int64_t most = kMost) {
  const json parsed = parse_json("{\"key\": " + value + "}", "f.json");
  return JsonObject(parsed, "f.json").integer("key", least, most);
}

TEST_CASE("strict json: 16 levels are accepted, 17 and 80,000 are refused") {
  CHECK(parse_json(arrays(16), "f.json").is_array());
  for (int levels : {17, 80'000}) {
    CHECK_THROWS_WITH(parse_json(arrays(levels), "f.json"),
                      contains("f.json") && contains("deeper than 16 levels"));
    CHECK_THROWS_AS(parse_json(arrays(levels), "f.json"), Error);
  }
  std::string objects;
  for (int level = 0; level < 17; ++level) objects += "{\"a\":";
  CHECK_THROWS_WITH(parse_json(objects, "f.json"), contains("deeper than 16 levels"));
}

TEST_CASE("strict json: text that is not JSON, too long or has a key twice is an error that names the file") {
  for (const char* text : {"", "{", "{\"a\": 1} x", "{\"a\": 1e999}", "{\"a\": \"\xff\"}", "{\"a\": nan}"}) {
    INFO(text);
    CHECK_THROWS_WITH(parse_json(text, "f.json"), contains("f.json: not valid JSON"));
    CHECK_THROWS_AS(parse_json(text, "f.json"), Error);
  }
  CHECK_THROWS_WITH(parse_json("{\"a\": 1, \"b\": {\"a\": 2, \"a\": 3}}", "f.json"),
                    contains("\"a\" appears twice"));
  CHECK(parse_json("{\"a\": 1, \"b\": {\"a\": 2}}", "f.json")["b"]["a"] == 2);
  const std::string blank(static_cast<std::size_t>(kMostJsonBytes), ' ');
  CHECK(parse_json(blank.substr(1) + "1", "f.json") == 1);
  CHECK_THROWS_WITH(parse_json(blank + "1", "f.json"), contains("16777217 bytes") && contains("16777216"));
}

TEST_CASE(
    "strict json: a key may appear in several objects, but only once in each, before and after others") {
  for (const char* accepted : {R"({"a": {"a": 1}})", R"({"a": {"b": 1}, "b": 2})", R"([{"a": 1}, {"a": 2}])",
                               R"({"a": [{"b": 1}, {"b": 2}], "b": {"a": {}, "b": []}})"}) {
    INFO(accepted);
    CHECK_NOTHROW(parse_json(accepted, "f.json"));
  }
  for (const char* refused :
       {R"({"a": {}, "a": 1})", R"({"a": {"b": 1}, "a": 2})", R"({"a": 1, "b": {"c": {"d": 2}}, "a": 3})",
        R"({"a": 1, "b": [{"c": 2}, {"c": 3}], "a": 4})",
        R"([{"b": {}}, {"a": 1, "b": {"c": 2}, "a": 3}])"}) {
    INFO(refused);
    CHECK_THROWS_WITH(parse_json(refused, "f.json"), contains("the key \"a\" appears twice in one object"));
  }
}

TEST_CASE("strict json: a level that has ended does not count for the values after it") {
  const std::string next_to = arrays(15) + ",{}," + arrays(15);
  CHECK_NOTHROW(parse_json("[" + next_to + "]", "f.json"));
  CHECK_THROWS_WITH(parse_json("[" + next_to + "," + arrays(16) + "]", "f.json"),
                    contains("deeper than 16 levels"));
}

TEST_CASE("strict json: an integer is accepted inside its range, up to 64 bits, and refused outside") {
  CHECK(integer("0") == 0);
  CHECK(integer("9223372036854775807") == kMost);
  CHECK(integer("-7", -7, -7) == -7);
  CHECK(integer("-9223372036854775808", std::numeric_limits<std::int64_t>::min()) ==
        std::numeric_limits<std::int64_t>::min());
  CHECK(integer("5", 5, 5) == 5);
  CHECK_THROWS_WITH(integer("4", 5, 6), "f.json: key is 4, expected an integer from 5 to 6");
  CHECK_THROWS_WITH(integer("7", 5, 6), "f.json: key is 7, expected an integer from 5 to 6");
  CHECK_THROWS_WITH(integer("-1", 0, 6), "f.json: key is -1, expected an integer from 0 to 6");
  for (const char* other : {"1e19", "1.0", "9223372036854775808", "1e20", "100000000000000000000", "\"1\"",
                            "null", "true", "[1]", "{}"}) {
    INFO(other);
    CHECK_THROWS_WITH(integer(other),
                      contains("f.json: key is ") && contains("expected an integer from 0 to"));
  }
}

TEST_CASE("strict json: a value of a wrong type, a missing key and an unknown key are errors") {
  const json value = parse_json(
      R"({"int": 3, "float": 0.5, "text": "x", "bool": true, "list": [1, 2], "in": {"seed": 18446744073709551615}})",
      "f.json");
  const JsonObject object(value, "f.json");
  CHECK(object.number("int") == 3);
  CHECK(object.number("float") == 0.5);
  CHECK(object.text("text") == "x");
  CHECK(object.boolean("bool"));
  CHECK(object.integers("list", 0, 2) == std::vector<std::int64_t>{1, 2});
  CHECK(object.object("in").unsigned_integer("seed") == std::numeric_limits<std::uint64_t>::max());
  CHECK_THROWS_WITH(object.number("text"), "f.json: text is \"x\", expected a number");
  CHECK_THROWS_WITH(object.text("int"), "f.json: int is 3, expected a text");
  CHECK_THROWS_WITH(object.boolean("int"), "f.json: int is 3, expected true or false");
  CHECK_THROWS_WITH(object.integers("int", 0, 2), contains("int is 3, expected an array"));
  CHECK_THROWS_WITH(object.integers("list", 0, 1), "f.json: list[1] is 2, expected an integer from 0 to 1");
  CHECK_THROWS_WITH(object.object("list"), "f.json: list is an array, expected an object");
  CHECK_THROWS_WITH(object.unsigned_integer("float"), contains("float is 0.5, expected an integer from 0"));
  CHECK_THROWS_WITH(object.object("in").integer("steps", 0, 9),
                    "f.json: in.steps is missing, expected an integer from 0 to 9");
  CHECK_THROWS_WITH(object.object("in").integer("seed", 0, 9),
                    contains("f.json: in.seed is 18446744073709551615"));
  CHECK_THROWS_WITH(object.expect_no_other_keys({{"int", 0}, {"text", ""}}), contains("is unknown"));
  CHECK_NOTHROW(object.object("in").expect_no_other_keys({{"seed", 0}}));
  CHECK_THROWS_WITH(JsonObject(value["list"], "f.json"), "f.json: is an array, expected an object");
}

TEST_CASE("strict json: a message is one short line for any contents of the file") {
  const json value =
      parse_json("{\"a\\nb\": \"c\\nd\", \"long\": \"" + std::string(5000, 'x') + "\"}", "f.json");
  const JsonObject object(value, "f.json");
  CHECK_THROWS_WITH(object.boolean("a\nb"), R"(f.json: "a\nb" is "c\nd", expected true or false)");
  try {
    object.number("long");
    FAIL("a text was accepted as a number");
  } catch (const Error& error) {
    CHECK(std::string(error.what()).size() < 200);
  }
}

TEST_CASE("strict json: a file is read, and an empty or missing file is an error that names it") {
  const TemporaryDirectory t;
  write_text(t / "a.json", "{\"a\": 1}\n");
  CHECK(read_json(t / "a.json") == json{{"a", 1}});
  write_text(t / "empty.json", "");
  CHECK_THROWS_WITH(read_json(t / "empty.json"), contains("empty.json: is empty"));
  CHECK_THROWS_WITH(read_json(t / "none.json"), contains("none.json: cannot open"));
}

}  // namespace
}  // namespace inkling
