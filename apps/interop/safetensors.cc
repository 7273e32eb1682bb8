#include "apps/interop/safetensors.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/run/format.h"
#include "apps/run/strict_json.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr std::int64_t kMostHeaderBytes = 100'000'000;
constexpr const char* kMetadata = "__metadata__";

// The size of a number of each dtype of the format. Formats of less than a byte are not read.
constexpr std::pair<const char*, std::int64_t> kDtypes[] = {
    {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E5M2", 1}, {"F8_E4M3", 1}, {"I16", 2}, {"U16", 2}, {"F16", 2},
    {"BF16", 2}, {"I32", 4}, {"U32", 4}, {"F32", 4},     {"F64", 8},     {"I64", 8}, {"U64", 8}};

// A tensor and its place in the data.
struct Placed {
  SafetensorsTensor tensor;
  std::int64_t begin, end;
};

std::int64_t number_bytes(const std::string& dtype, const std::string& where) {
  for (const auto& [name, size] : kDtypes) {
    if (dtype == name) return size;
  }
  fail(where, ": dtype is ", dtype,
       ", expected a dtype of safetensors with whole bytes, such as F32, F16 or BF16");
}

// The size of a tensor. Error if the product is not a 64-bit integer.
std::int64_t tensor_bytes(const SafetensorsTensor& tensor, const std::string& where) {
  std::int64_t bytes = number_bytes(tensor.dtype, where);
  for (const std::int64_t dim : tensor.shape) {
    if (__builtin_mul_overflow(bytes, dim, &bytes))
      fail(where, ": shape is ", shape_text(tensor.shape), ", whose size in bytes overflows 64 bits");
  }
  return bytes;
}

Placed placed_tensor(const std::string& name, const JsonObject& header, const std::string& path) {
  constexpr std::int64_t largest = std::numeric_limits<std::int64_t>::max();
  const JsonObject entry = header.object(name);
  entry.expect_no_other_keys({{"dtype", ""}, {"shape", ""}, {"data_offsets", ""}});
  Placed placed{{name, entry.text("dtype"), entry.integers("shape", 0, largest), {}}, 0, 0};
  const std::string where = path + ": " + name;
  const std::vector<std::int64_t> offsets = entry.integers("data_offsets", 0, largest);
  if (offsets.size() != 2)
    fail(where, ": data_offsets has ", offsets.size(), " numbers, expected begin and end");
  placed.begin = offsets[0], placed.end = offsets[1];
  if (placed.begin > placed.end)
    fail(where, ": data_offsets begin at ", placed.begin, " and end at ", placed.end,
         ", expected begin <= end");
  const std::int64_t bytes = tensor_bytes(placed.tensor, where);
  if (placed.end - placed.begin != bytes) {
    fail(where, ": data_offsets span ", format_number_of(placed.end - placed.begin, "byte"), ", expected ",
         bytes, " for ", placed.tensor.dtype, " ", shape_text(placed.tensor.shape));
  }
  return placed;
}

// The JSON text of the header.
std::string_view header_text(ByteReader& in) {
  if (in.remaining_bytes() < 8)
    in.fail_here(str("not a safetensors file: has ", format_number_of(in.size_bytes(), "byte"),
                     ", expected at least 8"));
  const auto length = in.read<std::uint64_t>("the length of the header");
  if (length > std::uint64_t{kMostHeaderBytes} || std::cmp_greater(length, in.remaining_bytes())) {
    fail(in.path(), ": not a safetensors file: the header has ", length, " bytes, expected at most ",
         std::min(kMostHeaderBytes, in.remaining_bytes()), " (at byte 0)");
  }
  const auto bytes = in.take(static_cast<std::int64_t>(length), "the header");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!text.starts_with('{'))
    fail(in.path(), ": the header does not start with {, expected JSON (at byte 8)");
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

// Checks that the tensors lie one after another and fill all bytes of the data.
void check_places(const std::vector<Placed>& sorted, std::int64_t data_bytes, const std::string& path) {
  std::int64_t end = 0;
  const std::string* before = nullptr;
  for (const Placed& placed : sorted) {
    const std::string& name = placed.tensor.name;
    if (placed.end > data_bytes)
      fail(path, ": ", name, ": data_offsets end at ", placed.end, ", expected at most ", data_bytes,
           ", the end of the file");
    if (placed.begin < end)
      fail(path, ": ", name, " begins at ", placed.begin, " and overlaps ", *before, ", which ends at ", end);
    if (placed.begin > end)
      fail(path, ": a gap of ", format_number_of(placed.begin - end, "byte"), " before ", name,
           ", expected no gap between tensors (at byte ", end, " of the data)");
    end = placed.end, before = &name;
  }
  if (end != data_bytes)
    fail(path, ": the tensors end at byte ", end, " of the data, but the file has ", data_bytes,
         " bytes of data, expected the same");
}

}  // namespace

std::string shape_text(const std::vector<std::int64_t>& shape) {
  std::string text = "(";
  for (const std::int64_t dim : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(dim);
  return text + ")";
}

Safetensors parse_safetensors(ByteReader in) {
  const std::string& path = in.path();
  const nlohmann::json json = parse_json(header_text(in), path, kMostHeaderBytes);
  const JsonObject header(json, path);
  Safetensors file;
  std::vector<Placed> placed;
  for (const auto& [name, value] : json.items()) {
    if (name != kMetadata) placed.push_back(placed_tensor(name, header, path));
  }
  if (header.has(kMetadata)) {
    const JsonObject metadata = header.object(kMetadata);
    for (const auto& [key, value] : json[kMetadata].items()) file.metadata[key] = metadata.text(key);
  }
  // A tensor without bytes comes before the tensor that begins at the same byte.
  std::sort(placed.begin(), placed.end(), [](const Placed& a, const Placed& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  check_places(placed, in.remaining_bytes(), path);
  for (Placed& next : placed) {
    next.tensor.bytes = in.take(next.end - next.begin, next.tensor.name);
    file.tensors.push_back(std::move(next.tensor));
  }
  return file;
}

std::string safetensors_header(const std::map<std::string, std::string>& metadata,
                               const std::vector<SafetensorsTensor>& tensors) {
  const auto quoted = [](const std::string& name) { return nlohmann::json(name).dump(); };
  std::string text = "{" + quoted(kMetadata) + ":" + nlohmann::json(metadata).dump();
  std::int64_t begin = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    const std::int64_t end = begin + tensor_bytes(tensor, tensor.name);
    const nlohmann::ordered_json entry = {
        {"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    text += "," + quoted(tensor.name) + ":" + entry.dump();
    begin = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const std::uint64_t length = text.size();
  return std::string(reinterpret_cast<const char*>(&length), sizeof length) + text;
}

}  // namespace inkling
