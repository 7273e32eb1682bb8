// safetensors files byte by byte: what is read, what is written, and each kind of damage that is refused.
#include "apps/interop/safetensors.h"

#include "core/error.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

std::string file_of(const std::string& header, const std::string& data) {
  const std::uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + data;
}

// The tensors refer to the bytes, so the bytes must live as long as the result.
Safetensors parsed(const std::string& bytes) {
  return parse_safetensors(ByteReader(std::as_bytes(std::span(bytes)), "m.safetensors"));
}

void refused(const std::string& header, const std::string& data, const std::string& message) {
  INFO(header);
  CHECK_THROWS_WITH(parsed(file_of(header, data)), contains("m.safetensors: ") && contains(message));
}

std::string as_string(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST_CASE("safetensors: tensors are returned in the order of their bytes, with shape, dtype and metadata") {
  const std::string bytes = file_of(
      R"({"b":{"dtype":"U8","shape":[3],"data_offsets":[4,7]},"__metadata__":{"k":"v"},)"
      R"("a":{"data_offsets":[0,4],"dtype":"F16","shape":[1,2]},"none":{"dtype":"F32","shape":[2,0],"data_offsets":[4,4]}}   )",
      "abcdefg");
  const Safetensors file = parsed(bytes);
  CHECK(file.metadata == std::map<std::string, std::string>{{"k", "v"}});
  REQUIRE(file.tensors.size() == 3);
  CHECK(file.tensors[0].name == "a");
  CHECK(file.tensors[0].dtype == "F16");
  CHECK(file.tensors[0].shape == std::vector<std::int64_t>{1, 2});
  CHECK(as_string(file.tensors[0].bytes) == "abcd");
  CHECK(file.tensors[1].name == "none");
  CHECK(file.tensors[1].bytes.empty());
  CHECK(as_string(file.tensors[2].bytes) == "efg");
}

TEST_CASE("safetensors: a scalar has an empty shape, and a file may have no tensors") {
  const std::string scalar = file_of(R"({"x":{"dtype":"F64","shape":[],"data_offsets":[0,8]}})", "12345678");
  CHECK(parsed(scalar).tensors[0].shape.empty());
  CHECK(parsed(file_of("{}", "")).tensors.empty());
}

TEST_CASE("safetensors: what safetensors_header writes is read back, and the data is aligned") {
  const std::vector<SafetensorsTensor> tensors = {{"w", "F32", {2, 1}, {}}, {"v\"\n", "BF16", {3}, {}}};
  const std::string header = safetensors_header({{"format", "pt"}, {"n_head", "2"}}, tensors);
  CHECK(header.size() % 8 == 0);
  const std::string bytes = header + "12345678abcdef";
  const Safetensors file = parsed(bytes);
  CHECK(file.metadata.at("n_head") == "2");
  REQUIRE(file.tensors.size() == 2);
  CHECK(file.tensors[0].shape == tensors[0].shape);
  CHECK(file.tensors[1].name == "v\"\n");
  CHECK(as_string(file.tensors[1].bytes) == "abcdef");
}

TEST_CASE("safetensors: a header that does not fit into the file, or into 100,000,000 bytes, is refused") {
  CHECK_THROWS_WITH(parsed("1234567"), contains("has 7 bytes, expected at least 8"));
  std::string bytes = file_of("{}", "");
  bytes[0] = 3;
  CHECK_THROWS_WITH(parsed(bytes), contains("the header has 3 bytes, expected at most 2"));
  for (int byte = 3; byte < 8; ++byte) {
    std::string large = file_of("{}", "");
    large[static_cast<std::size_t>(byte)] = '\x7f';
    CHECK_THROWS_WITH(parsed(large), contains("the header has "));
    large[static_cast<std::size_t>(byte)] = '\xff';
    CHECK_THROWS_WITH(parsed(large), contains("the header has "));
  }
  // Trailing spaces are allowed, so these two files differ only in the length of the header.
  const auto padded = [](std::size_t length) {
    std::string header = "{}";
    header.resize(length, ' ');
    return file_of(header, "");
  };
  CHECK_NOTHROW(parsed(padded(100'000'000)));
  CHECK_THROWS_WITH(parsed(padded(100'000'001)), contains("has 100000001 bytes, expected at most 100000000"));
}

TEST_CASE("safetensors: a header that is not one JSON object is refused") {
  refused("", "", "does not start with {");
  refused(" {}", "", "does not start with {");
  refused("[]", "", "does not start with {");
  refused("{", "", "not valid JSON");
  refused("{}{}", "", "not valid JSON");
  refused("{\"\xff\":1}", "", "not valid JSON");
  refused(R"({"x":NaN})", "", "not valid JSON");
}

TEST_CASE("safetensors: a tensor that is described wrongly is refused") {
  refused(R"({"x":1})", "", "x is 1, expected an object");
  refused(R"({"x":{"shape":[],"data_offsets":[0,1]}})", "1", "x.dtype is missing");
  refused(R"({"x":{"dtype":"U8","data_offsets":[0,1]}})", "1", "x.shape is missing");
  refused(R"({"x":{"dtype":"U8","shape":[]}})", "1", "x.data_offsets is missing");
  refused(R"({"x":{"dtype":"U8","shape":[],"data_offsets":[0,1],"more":1}})", "1", "x.more is unknown");
  refused(R"({"x":{"dtype":"F4","shape":[],"data_offsets":[0,1]}})", "1", "x: dtype is F4, expected");
  refused(R"({"x":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "1", "x.shape[0] is -1");
  refused(R"({"x":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", "1", "x.shape[0] is 1.0");
  refused(R"({"x":{"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]}})", "1",
          "x.shape[0] is 184467");
  refused(R"({"x":{"dtype":"U8","shape":[],"data_offsets":[0]}})", "1", "x: data_offsets has 1 numbers");
  refused(R"({"x":{"dtype":"U8","shape":[],"data_offsets":[0,1,1]}})", "1", "x: data_offsets has 3 numbers");
  refused(R"({"x":{"dtype":"U8","shape":[],"data_offsets":[1,0]}})", "1",
          "x: data_offsets begin at 1 and end at 0");
  refused(R"({"x":{"dtype":"U8","shape":[],"data_offsets":[0,"1"]}})", "1", "x.data_offsets[1] is \"1\"");
  refused(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,7]}})", "1234567",
          "x: data_offsets span 7 bytes, expected 8 for F32 (2)");
  refused(R"({"x":{"dtype":"U8","shape":[0],"data_offsets":[0,1]}})", "1", "span 1 byte, expected 0");
}

TEST_CASE("safetensors: a shape whose product overflows is refused, whatever its data offsets say") {
  refused(R"({"x":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})", "",
          "overflows 64 bits");
  refused(R"({"x":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", "",
          "overflows 64 bits");
  refused(R"({"x":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}})", "",
          "overflows 64 bits");
}

TEST_CASE("safetensors: keys that appear twice are refused at every level") {
  const std::string x = R"({"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  refused("{\"x\":" + x + ",\"x\":" + x + "}", "1", "the key \"x\" appears twice");
  refused(R"({"x":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "1",
          "the key \"dtype\" appears twice");
  refused(R"({"__metadata__":{},"__metadata__":{}})", "", "the key \"__metadata__\" appears twice");
  refused(R"({"__metadata__":{"a":"1","a":"2"}})", "", "the key \"a\" appears twice");
}

TEST_CASE("safetensors: metadata must be texts") {
  refused(R"({"__metadata__":{"a":1}})", "", "a is 1, expected a text");
  refused(R"({"__metadata__":"a"})", "", "__metadata__ is \"a\", expected an object");
}

TEST_CASE("safetensors: overlaps, holes and a wrong end of the data are refused") {
  const auto two = [](int begin_a, int end_a, int begin_b, int end_b) {
    const auto tensor = [](int begin, int end) {
      return str(R"({"dtype":"U8","shape":[)", end - begin, R"(],"data_offsets":[)", begin, ",", end, "]}");
    };
    return "{\"a\":" + tensor(begin_a, end_a) + ",\"b\":" + tensor(begin_b, end_b) + "}";
  };
  CHECK_NOTHROW(parsed(file_of(two(2, 4, 0, 2), "1234")));
  refused(two(0, 3, 2, 4), "1234", "b begins at 2 and overlaps a, which ends at 3");
  refused(two(0, 4, 1, 2), "1234", "b begins at 1 and overlaps a, which ends at 4");
  refused(two(0, 2, 0, 2), "12", "overlaps");
  refused(two(0, 1, 2, 4), "1234", "a gap of 1 byte before b");
  refused(two(1, 2, 2, 4), "1234", "a gap of 1 byte before a");
  refused(two(0, 2, 2, 5), "1234", "b: data_offsets end at 5, expected at most 4");
  refused(two(0, 2, 2, 4), "12345",
          "the tensors end at byte 4 of the data, but the file has 5 bytes of data");
  refused("{}", "1", "the tensors end at byte 0");
}

}  // namespace
}  // namespace inkling
