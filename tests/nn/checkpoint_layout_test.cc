// Checkpoints byte by byte. The test builds files by hand from FORMATS.md, and reads and writes both
// versions.
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "nn/checkpoint.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

std::string made_by_hand(const std::vector<std::int32_t>& header, const std::string& weights) {
  std::vector<std::int32_t> all = header;
  all.resize(256);
  return std::string(reinterpret_cast<const char*>(all.data()), 1024) + weights;
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

GPT2 loaded(const std::string& bytes) {
  ByteReader in(std::as_bytes(std::span(bytes)), "some.bin");
  return load_model(in);
}

// maxT = 3, V = 130 (so Vp = 256), L = 2, NH = 2, C = 4
const GPT2Config kConfig{.max_seq_len = 3, .vocab_size = 130, .layers = 2, .heads = 2, .channels = 4};
constexpr std::int64_t kCount = 256 * 4 + 3 * 4 + 2 * (4 * 4 + 3 * 16 + 12 + 16 + 4 + 64 + 16 + 64 + 4) + 8;

TEST_CASE("checkpoint: version 3 is a header of 256 numbers and all weights as float32, in order") {
  std::vector<float> weights(kCount);
  for (std::size_t i = 0; i < weights.size(); ++i) weights[i] = 0.25f * static_cast<float>(i) - 3;
  const std::string file = made_by_hand({20240326, 3, 3, 130, 2, 2, 4, 256}, bytes_of(weights));
  GPT2 model = loaded(file);
  CHECK(model.config() == kConfig);
  REQUIRE(std::ssize(model.parameters().values()) == kCount);
  CHECK(std::equal(weights.begin(), weights.end(), model.parameters().values().begin()));
  const TemporaryDirectory directory;
  save_model(directory / "saved.bin", kConfig, weights);
  CHECK(read_text(directory / "saved.bin") == file);
}

TEST_CASE("checkpoint: version 5 has the same header and all weights as bfloat16, also norms and biases") {
  std::vector<float> weights(kCount);
  std::vector<std::uint16_t> halves(kCount);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    // Only 8 significant bits, so bf16 holds the number exactly.
    weights[i] = std::ldexp(static_cast<float>(128 + i % 128), static_cast<int>(i % 20) - 10);
    std::uint32_t bits = 0;
    std::memcpy(&bits, &weights[i], 4);
    halves[i] = static_cast<std::uint16_t>(bits >> 16);
  }
  const std::string file = made_by_hand({20240326, 5, 3, 130, 2, 2, 4, 256}, bytes_of(halves));
  GPT2 model = loaded(file);
  CHECK(model.config() == kConfig);
  CHECK(std::equal(weights.begin(), weights.end(), model.parameters().values().begin()));
  const TemporaryDirectory directory;
  save_model(directory / "saved.bin", kConfig, weights, DType::bf16);
  CHECK(read_text(directory / "saved.bin") == file);
}

TEST_CASE("checkpoint: wrong versions and sizes in the header, or another file size, are errors") {
  const std::string weights(4 * kCount, '\0');
  const auto header_of = [&](const std::vector<std::int32_t>& header) {
    const std::string file = made_by_hand(header, weights);
    ByteReader in(std::as_bytes(std::span(file)), "some.bin");
    const ModelHeader model = read_model_header(in);
    CHECK(in.offset() == 1024);
    return model;
  };
  const ModelHeader model = header_of({20240326, 3, 3, 130, 2, 2, 4, 256});
  CHECK(model.config == kConfig);
  CHECK(model.dtype == DType::f32);
  CHECK_THROWS_WITH(header_of({20240326, 5, 3, 130, 2, 2, 4, 256}),
                    contains("some.bin: file size is ") && contains(" bf16 weights"));
  CHECK_THROWS_WITH(header_of({20240326, 3, 4, 130, 2, 2, 4, 256}), contains("file size is "));
  CHECK_THROWS_WITH(header_of({20240326, 3, 3, 130, 2, 2, 8, 256}), contains("file size is "));
  CHECK_THROWS_WITH(header_of({20240326, 3, 3, 130, 2, 3, 4, 256}),
                    contains("a multiple of the number of heads (NH), which is 3"));
  CHECK_THROWS_WITH(header_of({20240326, 3, 3, 128, 2, 2, 4, 256}),
                    contains("(Vp) is 256, expected 128 for V=128 (at byte 28)"));
  CHECK_THROWS_WITH(header_of({20240326, 3, 3, 130, 2, 2, 4, 130}), contains("(Vp) is 130, expected 256"));
  for (const std::int32_t version : {0, 1, 2, 4, 6})
    CHECK_THROWS_WITH(header_of({20240326, version, 3, 130, 2, 2, 4, 256}),
                      contains(str("model version is ", version)));
}

TEST_CASE("initialisation: overwrites each tensor with its own normal distribution, or 0, or 1") {
  const GPT2Config config{.max_seq_len = 50, .vocab_size = 200, .layers = 2, .heads = 2, .channels = 48};
  GPT2 model(config);
  std::fill(model.parameters().values().begin(), model.parameters().values().end(), 9.0f);
  model.initialise(4);
  const double matrix = 0.02 * std::sqrt(768.0 / 48), residual = matrix / std::sqrt(2.0 * 2);
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    const std::string& tensor = model.parameters().table()[t].name;
    INFO(tensor);
    std::span<float> values = model.parameters().values_of(t);
    if (tensor == "wte") {
      CHECK(std::all_of(values.begin() + 200 * 48, values.end(), [](float w) { return w == 0; }));
      values = values.first(200 * 48);
    }
    const bool norm_weight = tensor == "ln1w" || tensor == "ln2w" || tensor == "lnfw";
    if (norm_weight || tensor.ends_with("b")) {
      CHECK(std::all_of(values.begin(), values.end(),
                        [&](float w) { return w == (norm_weight ? 1.0f : 0.0f); }));
      continue;
    }
    const double want = tensor == "attprojw" || tensor == "fcprojw" ? residual : matrix;
    double sum = 0, squares = 0;
    for (float w : values)
      sum += static_cast<double>(w), squares += static_cast<double>(w) * static_cast<double>(w);
    const double n = static_cast<double>(values.size());
    // The limits are five standard errors of a mean and of a standard deviation.
    CHECK(std::abs(sum / n) < 5 * want / std::sqrt(n));
    CHECK(std::abs(std::sqrt(squares / n) / want - 1) < 5 / std::sqrt(2 * n));
    CHECK(std::all_of(values.begin(), values.end(), [](float w) { return w != 0; }));
  }
}

TEST_CASE("initialisation: a model wider than GPT-2 has GPT-2's standard deviation of 0.02") {
  GPT2 model({.max_seq_len = 1, .vocab_size = 1, .layers = 1, .heads = 1, .channels = 832});
  model.initialise(1);
  double squares = 0;
  const std::span<float> values = model.parameters().values_of(kQkvw);
  for (float w : values) squares += static_cast<double>(w) * static_cast<double>(w);
  const double n = static_cast<double>(values.size());
  CHECK(std::abs(std::sqrt(squares / n) / 0.02 - 1) < 5 / std::sqrt(2 * n));  // five standard errors
}

}  // namespace
}  // namespace inkling
