#include "apps/interop/stored_model.h"

#include <algorithm>
#include <cstring>

#include "apps/interop/half.h"
#include "core/bf16.h"

namespace inkling {

namespace {

constexpr std::int64_t kChunk = 1 << 18;  // the number of numbers that are converted or compared at a time
constexpr std::int64_t kRowsAtOnce = 64;  // the number of rows that are transposed at a time

template <class T>
T read_at(std::span<const std::byte> bytes, std::int64_t index) {
  T value;
  std::memcpy(&value, bytes.data() + index * static_cast<std::int64_t>(sizeof(T)), sizeof(T));
  return value;
}

std::span<const std::byte> numbers(std::span<const std::byte> bytes, FloatType type, std::int64_t begin,
                                   std::int64_t count) {
  return bytes.subspan(static_cast<std::size_t>(begin * size_bytes(type)),
                       static_cast<std::size_t>(count * size_bytes(type)));
}

void convert_to_f32(std::span<const std::byte> bytes, FloatType type, std::vector<float>& out) {
  const std::int64_t count = std::ssize(bytes) / size_bytes(type);
  out.resize(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    out[static_cast<std::size_t>(i)] = type == FloatType::f32   ? read_at<float>(bytes, i)
                                       : type == FloatType::f16 ? to_float(read_at<f16>(bytes, i))
                                                                : to_float(read_at<bf16>(bytes, i));
  }
}

// Writes numbers, converted if `to` is another type. `scratch` is memory for the conversion.
void write_numbers(AtomicFile& file, std::span<const std::byte> bytes, FloatType from, FloatType to,
                   std::vector<float>& scratch) {
  if (from == to) return file.write(bytes.data(), std::ssize(bytes));
  convert_to_f32(bytes, from, scratch);
  file.write(scratch.data(), std::ssize(scratch) * 4);
}

void copy_in_order(AtomicFile& file, const StoredModel& model, const StoredTensor& tensor, FloatType type) {
  std::vector<float> scratch;
  const std::int64_t count = std::ssize(tensor.bytes) / size_bytes(tensor.type);
  for (std::int64_t begin = 0; begin < count; begin += kChunk) {
    const auto part = numbers(tensor.bytes, tensor.type, begin, std::min(kChunk, count - begin));
    write_numbers(file, part, tensor.type, type, scratch);
    model.release(part);
  }
}

// Gathers `rows` rows of the transposed matrix, from row `first` on. The source has `length` rows of
// `row_length` words; a row of the transposed matrix has `length` words.
template <class Word>
void gather_rows(std::span<const std::byte> source, std::int64_t length, std::int64_t row_length,
                 std::int64_t first, std::int64_t rows, std::byte* out) {
  for (std::int64_t i = 0; i < length; ++i) {
    for (std::int64_t row = 0; row < rows; ++row) {
      const auto word = read_at<Word>(source, i * row_length + first + row);
      std::memcpy(out + (row * length + i) * std::int64_t{sizeof(Word)}, &word, sizeof(Word));
    }
  }
}

void copy_transposed(AtomicFile& file, const StoredModel& model, const StoredTensor& tensor, FloatType type,
                     std::int64_t length, std::int64_t row_length) {
  std::vector<float> scratch;
  std::vector<std::byte> block;
  for (std::int64_t first = 0; first < row_length; first += kRowsAtOnce) {
    const std::int64_t rows = std::min(kRowsAtOnce, row_length - first);
    block.resize(static_cast<std::size_t>(rows * length * size_bytes(tensor.type)));
    if (tensor.type == FloatType::f32) {
      gather_rows<std::uint32_t>(tensor.bytes, length, row_length, first, rows, block.data());
    } else {
      gather_rows<std::uint16_t>(tensor.bytes, length, row_length, first, rows, block.data());
    }
    write_numbers(file, block, tensor.type, type, scratch);
  }
  model.release(tensor.bytes);
}

}  // namespace

const char* name(FloatType type) {
  return type == FloatType::f32 ? "f32" : type == FloatType::f16 ? "f16" : "bf16";
}

std::int64_t size_bytes(FloatType type) {
  return type == FloatType::f32 ? 4 : 2;
}

FloatType StoredModel::type() const {
  const FloatType first = tensors.front().type;
  const bool same = std::all_of(tensors.begin(), tensors.end(),
                                [&](const StoredTensor& tensor) { return tensor.type == first; });
  return same ? first : FloatType::f32;
}

void StoredModel::release(std::span<const std::byte> part) const {
  for (const FileView& file : files) {
    const std::byte* begin = file.bytes().data();
    if (part.data() >= begin && part.data() < begin + file.bytes().size()) file.release(part);
  }
}

void write_tensor(AtomicFile& file, const StoredModel& model, const LayerTensor& tensor, FloatType type,
                  MatrixOrder order) {
  const StoredTensor& stored = model.at(tensor);
  const Shape shape = shape_of(tensor, model.config);
  if (stored.order == order || shape.rank == 1) return copy_in_order(file, model, stored, type);
  const bool out_in = stored.order == MatrixOrder::out_in;
  copy_transposed(file, model, stored, type, out_in ? shape[0] : shape[1], out_in ? shape[1] : shape[0]);
}

bool same_numbers(const StoredModel& model, const StoredTensor& a, const StoredTensor& b) {
  std::vector<float> left, right;
  const std::int64_t count = std::ssize(a.bytes) / size_bytes(a.type);
  for (std::int64_t begin = 0; begin < count; begin += kChunk) {
    const std::int64_t size = std::min(kChunk, count - begin);
    const auto part_a = numbers(a.bytes, a.type, begin, size), part_b = numbers(b.bytes, b.type, begin, size);
    convert_to_f32(part_a, a.type, left);
    convert_to_f32(part_b, b.type, right);
    if (std::memcmp(left.data(), right.data(), left.size() * sizeof(float)) != 0) return false;
    model.release(part_a);
    model.release(part_b);
  }
  return true;
}

}  // namespace inkling
