// Copying one tensor out of a stored model: conversion to float32 and comparison, around the size of a part.
#include "apps/interop/stored_model.h"

#include "apps/interop/half.h"
#include "tests/apps/interop/models.h"

namespace inkling {
namespace {

using namespace inkling::test;

// A model whose wte is a column of these numbers. Its other tensors are not used.
template <class T>
StoredModel column(const std::vector<T>& numbers, FloatType type) {
  StoredModel model{
      .config = {.max_seq_len = 1, .vocab_size = std::ssize(numbers), .layers = 1, .heads = 1, .channels = 1},
      .tensors = {},
      .files = {}};
  model.tensors.resize(layer_tensors(model.config).size());
  model.tensors[0] = {std::as_bytes(std::span(numbers)), type, MatrixOrder::out_in};
  return model;
}

std::vector<float> written_as_f32(const StoredModel& model) {
  const TemporaryDirectory directory;
  AtomicFile file(directory / "a");
  write_tensor(file, model, {kWte}, FloatType::f32, MatrixOrder::out_in);
  file.commit();
  const std::string bytes = read_text(directory / "a");
  std::vector<float> values(bytes.size() / 4);
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST_CASE("stored model: f16 and bf16 become f32, for counts around the size of one part") {
  for (const std::size_t count : {std::size_t{1}, (std::size_t{1} << 18) - 1, std::size_t{1} << 18,
                                  (std::size_t{1} << 18) + 1, (std::size_t{2} << 18) + 3}) {
    INFO(count);
    std::vector<f16> half(count);
    std::vector<bf16> brain(count);
    for (std::size_t i = 0; i < count; ++i) {
      half[i].bits = static_cast<std::uint16_t>(i * 7 % 0x7c00);  // positive and finite
      brain[i].bits = static_cast<std::uint16_t>(i * 5 % 0x7f80);
    }
    const std::vector<float> a = written_as_f32(column(half, FloatType::f16));
    const std::vector<float> b = written_as_f32(column(brain, FloatType::bf16));
    REQUIRE(a.size() == count);
    REQUIRE(b.size() == count);
    bool same = true;
    for (std::size_t i = 0; i < count; ++i)
      same = same && a[i] == to_float(half[i]) && b[i] == to_float(brain[i]);
    CHECK(same);
  }
}

TEST_CASE("stored model: two tensors differ if one bit differs, in each part, also between types") {
  const std::size_t count = (std::size_t{1} << 18) + 1;
  std::vector<f16> half(count, f16{0x3c00});  // 1
  std::vector<float> ones(count, 1.0f);
  const StoredModel model = column(half, FloatType::f16);
  const StoredTensor other{std::as_bytes(std::span(ones)), FloatType::f32, MatrixOrder::out_in};
  CHECK(same_numbers(model, model.at({kWte}), other));
  for (const std::size_t i : {std::size_t{0}, count - 2, count - 1}) {
    ones[i] = std::nextafter(1.0f, 2.0f);
    CHECK(!same_numbers(model, model.at({kWte}), other));
    ones[i] = 1;
  }
}

}  // namespace
}  // namespace inkling
