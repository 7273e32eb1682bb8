// The table of a model's parameters, compared with numbers computed by hand from FORMATS.md, and the numbers
// that follow from a config.
#include "nn/parameters.h"

#include "core/error.h"
#include "core/tape.h"
#include "nn/gpt2.h"
#include "nn/gpt2_config.h"
#include "nn/precision.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

const GPT2Config kTiny{.max_seq_len = 8, .vocab_size = 20, .layers = 2, .heads = 2, .channels = 16};

TEST_CASE("parameters: names, shapes, offsets and decay equal llm.c's checkpoint layout") {
  struct Row {
    const char* name;
    Shape shape;
    std::int64_t offset;
    bool decay;
  };
  // maxT = 5, V = 130 (so Vp = 256), L = 2, C = 6
  const std::vector<Row> want = {
      {"wte", {256, 6}, 0, true},          {"wpe", {5, 6}, 1536, true},       {"ln1w", {2, 6}, 1566, false},
      {"ln1b", {2, 6}, 1578, false},       {"qkvw", {2, 18, 6}, 1590, true},  {"qkvb", {2, 18}, 1806, false},
      {"attprojw", {2, 6, 6}, 1842, true}, {"attprojb", {2, 6}, 1914, false}, {"ln2w", {2, 6}, 1926, false},
      {"ln2b", {2, 6}, 1938, false},       {"fcw", {2, 24, 6}, 1950, true},   {"fcb", {2, 24}, 2238, false},
      {"fcprojw", {2, 6, 24}, 2286, true}, {"fcprojb", {2, 6}, 2574, false},  {"lnfw", {6}, 2586, false},
      {"lnfb", {6}, 2592, false}};
  const GPT2Config config{.max_seq_len = 5, .vocab_size = 130, .layers = 2, .heads = 3, .channels = 6};
  Parameters parameters(gpt2_parameters(config));
  REQUIRE(parameters.table().size() == want.size());
  for (std::size_t t = 0; t < want.size(); ++t) {
    const Parameter& got = parameters.table()[t];
    INFO(want[t].name);
    CHECK(got.name == want[t].name);
    CHECK(got.shape == want[t].shape);
    CHECK(got.offset == want[t].offset);
    CHECK(got.decay == want[t].decay);
    CHECK(parameters.values_of(t).data() == parameters.values().data() + want[t].offset);
    CHECK(std::ssize(parameters.values_of(t)) == want[t].shape.numel());
  }
  CHECK(parameters.count() == 2598);
  CHECK(config.parameter_count() == 2598);
  CHECK(config.head_size() == 2);
  // 6 for each weight, plus 12 L C T for the products of attention. The second term is halved, because the
  // causal mask leaves out half of these products.
  CHECK(config.training_flops_per_token(10) == 6 * 2598 + 6 * 2 * 6 * 10);
}

TEST_CASE("parameters: the vocabulary is padded to the next multiple of 128, and no further") {
  const auto padded = [](std::int64_t V) { return GPT2Config{.vocab_size = V}.padded_vocab_size(); };
  CHECK(padded(1) == 128);
  CHECK(padded(127) == 128);
  CHECK(padded(128) == 128);
  CHECK(padded(129) == 256);
  CHECK(padded(50257) == 50304);
}

TEST_CASE("parameters: the four sizes of GPT-2 have the published layers, heads and channels") {
  struct Size {
    const char* name;
    std::int64_t L, NH, C;
  };
  for (const Size& size : {Size{"gpt2:d12", 12, 12, 768}, Size{"gpt2:d24", 24, 16, 1024},
                           Size{"gpt2:d36", 36, 20, 1280}, Size{"gpt2:d48", 48, 25, 1600}}) {
    INFO(size.name);
    CHECK(GPT2Config::named(size.name) == GPT2Config{.max_seq_len = 1024,
                                                     .vocab_size = 50257,
                                                     .layers = size.L,
                                                     .heads = size.NH,
                                                     .channels = size.C});
  }
}

TEST_CASE("parameters: a config outside the lower or upper limit of any field is an error") {
  const std::int64_t most = 1 << 20;
  const GPT2Config good{.max_seq_len = 1, .vocab_size = 1, .layers = 1, .heads = 1, .channels = 1};
  CHECK_NOTHROW(good.check("here"));
  const auto check_dimension = [&](std::int64_t GPT2Config::*dimension, const std::string& name) {
    GPT2Config config = good;
    for (const std::int64_t wrong : {std::int64_t{0}, std::int64_t{-1}, most + 1}) {
      config.*dimension = wrong;
      CHECK_THROWS_WITH(config.check("here"), contains("here: " + name + " is " + str(wrong)));
    }
  };
  check_dimension(&GPT2Config::max_seq_len, "max sequence length (maxT)");
  check_dimension(&GPT2Config::vocab_size, "vocabulary size (V)");
  check_dimension(&GPT2Config::layers, "number of layers (L)");
  check_dimension(&GPT2Config::heads, "number of heads (NH)");
  check_dimension(&GPT2Config::channels, "number of channels (C)");
  GPT2Config large = good;
  large.max_seq_len = most, large.vocab_size = most, large.layers = most;
  CHECK_NOTHROW(large.check("here"));
  // A model has about 12 L C^2 parameters. With C = 1024, L = 79,472 gives slightly less than 10^12, and
  // 79,473 slightly more.
  GPT2Config deep{.max_seq_len = 1, .vocab_size = 1, .layers = 79472, .heads = 1, .channels = 1024};
  CHECK_NOTHROW(deep.check("here"));
  ++deep.layers;
  CHECK_THROWS_WITH(deep.check("here"), contains("here: the model would have 1e+12 parameters"));
  GPT2Config wide{.max_seq_len = most, .vocab_size = most, .layers = 1, .heads = 1, .channels = 1 << 19};
  CHECK_THROWS_WITH(wide.check("here"), contains("parameters, expected at most 1e12"));
}

TEST_CASE("parameters: a size that overflows is an error that names the tensor") {
  const std::int64_t huge = std::int64_t{1} << 40;
  CHECK_THROWS_WITH(Parameters({{"a", {2}, true}, {"b", {huge, huge}, true}}),
                    contains("parameter b: (1099511627776, 1099511627776) has too many elements"));
  const std::int64_t half = std::int64_t{1} << 62;
  CHECK_THROWS_WITH(Parameters({{"a", {half}, true}, {"b", {half}, true}}),
                    contains("parameter b: the model is too large"));
}

TEST_CASE("parameters: values start at zero; a layer's leaf has this layer's weights and gradients") {
  Parameters parameters({{"a", {2, 3}, true}, {"stack", {4, 2, 3}, true}, {"b", {5}, false}});
  CHECK(parameters.count() == 35);
  for (float v : parameters.values()) REQUIRE(v == 0.0f);
  Tape tape, inference(Recording::off);
  const Tensor quiet = parameters.layer_leaf(inference, 1, 2, LeafGradient::overwrite);
  CHECK_FALSE(quiet.has_gradient());
  for (std::int64_t l = 0; l < 4; ++l) {
    const Tensor leaf = parameters.layer_leaf(tape, 1, l, LeafGradient::overwrite);
    CHECK(leaf.shape() == Shape{2, 3});
    CHECK(leaf.f32() == parameters.values().data() + 6 + l * 6);
    CHECK(tape.leaf_gradient(leaf, leaf).data == parameters.gradients().data() + 6 + l * 6);
  }
  const Tensor whole = parameters.leaf(tape, 2, LeafGradient::accumulate);
  CHECK(whole.shape() == Shape{5});
  CHECK(whole.f32() == parameters.values().data() + 30);
  CHECK(tape.leaf_gradient(whole, whole).data == parameters.gradients().data() + 30);
  CHECK(tape.leaf_gradient(whole, whole).accumulate);
  CHECK(parameters.gradients().data() == parameters.gradients().data());  // the buffer is allocated only once
  CHECK(std::ssize(parameters.gradients()) == 35);
}

TEST_CASE(
    "precision: every name is parsed; int8 for training and unknown names are errors with the choices") {
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8})
    CHECK(parse_precision(name(precision), Recording::off) == precision);
  CHECK(std::string(name(Precision::f32)) == "f32");
  CHECK(std::string(name(Precision::bf16)) == "bf16");
  CHECK(std::string(name(Precision::int8)) == "int8");
  CHECK(parse_precision("f32", Recording::on) == Precision::f32);
  CHECK(parse_precision("bf16", Recording::on) == Precision::bf16);
  CHECK_THROWS_WITH(parse_precision("int8", Recording::on),
                    contains("precision is int8, expected f32 or bf16"));
  CHECK_THROWS_WITH(parse_precision("F32", Recording::off),
                    contains("precision is F32, expected f32, bf16 or int8"));
  CHECK_THROWS_WITH(parse_precision("", Recording::on), contains("expected f32 or bf16"));
}

TEST_CASE("parameters: a layer that does not exist is an error") {
  GPT2 model(kTiny);
  Tape tape(Recording::off);
  const auto layer = [&](std::size_t tensor, std::int64_t l) {
    return model.parameters().layer_leaf(tape, tensor, l, LeafGradient::overwrite);
  };
  CHECK(layer(kQkvw, 1).shape() == Shape{48, 16});
  CHECK_THROWS_WITH(layer(kQkvw, 2), contains("layer 2 of (2, 48, 16)"));
  CHECK_THROWS_WITH(layer(kQkvw, -1), contains("layer -1 of (2, 48, 16)"));
}

}  // namespace
}  // namespace inkling
