// Checkpoints: a saved model loads unchanged, and a wrong file is an error that names the wrong field.
#include "nn/checkpoint.h"

#include <cmath>

#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr const char* kSmall = "tests/goldens/small.bin";

const GPT2Config kTiny{.max_seq_len = 8, .vocab_size = 20, .layers = 2, .heads = 2, .channels = 16};

std::vector<std::byte> bytes_of(const std::string& path) {
  const FileView file(path);
  return {file.bytes().begin(), file.bytes().end()};
}

void expect_error(std::vector<std::byte> bytes, const std::string& message) {
  ByteReader in(bytes, "model.bin");
  CHECK_THROWS_WITH(load_model(in), contains(message) && !contains("\n"));
}

std::vector<std::byte> with_header(int index, std::int32_t value) {
  std::vector<std::byte> bytes = bytes_of(kSmall);
  std::memcpy(bytes.data() + 4 * index, &value, 4);
  return bytes;
}

TEST_CASE("checkpoint: a float32 model is saved with the same bytes that it was loaded from") {
  GPT2 model = load_model(kSmall);
  const TemporaryDirectory directory;
  const std::string path = directory / "f32.bin";
  save_model(path, model.config(), model.parameters().values());
  CHECK(bytes_of(path) == bytes_of(kSmall));
}

TEST_CASE("checkpoint: a model saved as bfloat16 equals PyTorch's file, rounded to nearest even") {
  GPT2 model = load_model(kSmall);
  const TemporaryDirectory directory;
  const std::string path = directory / "bf16.bin";
  save_model(path, model.config(), model.parameters().values(), DType::bf16);
  CHECK(bytes_of(path) == bytes_of("tests/goldens/small_bf16.bin"));
  GPT2 rounded = load_model(path);
  for (std::size_t i = 0; i < model.parameters().values().size(); ++i) {
    REQUIRE(rounded.parameters().values()[i] == to_float(to_bf16(model.parameters().values()[i])));
  }
}

TEST_CASE("checkpoint: every wrong header is an error of one line that names the wrong field and its byte") {
  expect_error(with_header(0, 1),
               "model.bin: not a model checkpoint: the magic number is 1, expected 20240326");
  expect_error(with_header(0, static_cast<std::int32_t>(__builtin_bswap32(20240326))),
               "the bytes are swapped");
  expect_error(with_header(1, 4), "model version is 4, expected 3 (float32) or 5 (bfloat16) (at byte 4)");
  expect_error(with_header(2, -5), "max sequence length (maxT) is -5, expected 1 to 1048576 (at byte 8)");
  expect_error(with_header(3, 0), "vocabulary size (V) is 0, expected 1 to 1048576 (at byte 12)");
  expect_error(with_header(4, 2147483647),
               "number of layers (L) is 2147483647, expected 1 to 1048576 (at byte 16)");
  expect_error(with_header(5, 0), "number of heads (NH) is 0, expected 1 to 1048576 (at byte 20)");
  expect_error(with_header(5, 7), "expected a multiple of the number of heads (NH), which is 7 (at byte 24)");
  expect_error(with_header(6, 3 << 18), "parameters, expected at most 1e12 (at byte 24)");
  expect_error(with_header(7, 300), "padded vocabulary (Vp) is 300, expected 256 for V=131 (at byte 28)");
  expect_error(with_header(4, 3), "file size is ");
}

TEST_CASE("checkpoint: a file that is too short or too long is an error, wherever it ends") {
  const std::vector<std::byte> whole = bytes_of(kSmall);
  for (std::size_t size : {std::size_t{1}, std::size_t{4}, std::size_t{1023}, std::size_t{1024},
                           whole.size() - 1, whole.size() - 4}) {
    expect_error({whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)},
                 size < 1024 ? "truncated" : "file size is");
  }
  std::vector<std::byte> longer = whole;
  longer.push_back(std::byte{0});
  expect_error(longer, "file size is");
}

TEST_CASE("checkpoint: expect_finite names the tensor of the first weight that is not finite") {
  GPT2 model = load_model(kSmall);
  expect_finite(model, "model.bin");
  model.parameters().values_of(kLnfb)[29] = -INFINITY;  // the last weight of all
  CHECK_THROWS_WITH(expect_finite(model, "model.bin"),
                    contains("model.bin: weight 29 of lnfb (30) is infinite, expected a finite number"));
  model.parameters().values_of(kWte)[0] = -NAN;
  CHECK_THROWS_WITH(expect_finite(model, "model.bin"),
                    contains("model.bin: weight 0 of wte (256, 30) is nan,"));
}

TEST_CASE("checkpoint: the four sizes of GPT-2 have OpenAI's parameter counts in llm.c's layout") {
  CHECK(GPT2Config::named("gpt2:d12").parameter_count() == 124475904);
  CHECK(GPT2Config::named("gpt2:d24").parameter_count() == 354871296);
  CHECK(GPT2Config::named("gpt2:d36").parameter_count() == 774090240);
  CHECK(GPT2Config::named("gpt2:d48").parameter_count() == 1557686400);
  CHECK_THROWS_WITH(GPT2Config::named("gpt2:d13"), contains("gpt2:d13, expected gpt2:d12"));
}

TEST_CASE("initialisation: the seed decides the weights, and with 768 channels they have GPT-2's deviation") {
  const GPT2Config config{.max_seq_len = 64, .vocab_size = 300, .layers = 1, .heads = 12, .channels = 768};
  GPT2 model(config), same(config), other(config);
  model.initialise(1), same.initialise(1), other.initialise(2);
  double squares = 0;
  for (float w : model.parameters().values_of(kFcw)) squares += static_cast<double>(w) * w;
  CHECK(std::sqrt(squares / (3072.0 * 768)) == approx(0.02).epsilon(0.01));
  const auto equal = [](GPT2& a, GPT2& b) {
    return std::equal(a.parameters().values().begin(), a.parameters().values().end(),
                      b.parameters().values().begin());
  };
  CHECK(equal(model, same));
  CHECK_FALSE(equal(model, other));
}

TEST_CASE("checkpoint: saving a wrong number of weights, a wrong dtype or a wrong config is an error") {
  const TemporaryDirectory directory;
  const std::string path = directory / "model.bin";
  const std::vector<float> weights(static_cast<std::size_t>(kTiny.parameter_count()));
  CHECK_THROWS_WITH(save_model(path, kTiny, std::span(weights).first(100)),
                    contains("cannot save 100 weights, expected "));
  CHECK_THROWS_WITH(save_model(path, kTiny, weights, DType::i32), contains("cannot save weights as i32"));
  GPT2Config odd = kTiny;
  odd.heads = 3;
  CHECK_THROWS_WITH(save_model(path, odd, weights), contains("model.bin"));
  CHECK_THROWS_WITH(load_model(path), contains("cannot open"));
}

}  // namespace
}  // namespace inkling
