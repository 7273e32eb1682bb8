// What happens inside a model: attention, gradients and removed heads are those of the model itself.
#include "apps/explain/inside.h"

#include "apps/talk/explanation.h"
#include "nn/checkpoint.h"
#include "ops/attention/attention.h"
#include "ops/embedding.h"
#include "ops/layernorm.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr double kSameLoss = 1e-5;  // relative; the losses are sums in float

// L 2, NH 3, C 30, maxT 24, V 131.
GPT2 small_model() {
  return load_model("tests/goldens/small.bin");
}

std::vector<std::int32_t> some_ids(std::int64_t T) {
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i <= T; ++i) ids.push_back((i * 29 + 3) % 131);
  return ids;
}

TEST_CASE("inside: the losses are those of the model, for texts of 1 to maxT tokens") {
  GPT2 model = small_model();
  for (const std::int64_t T : {1, 2, 7, 24}) {
    const std::vector<std::int32_t> ids = some_ids(T);
    const Inside in = look_inside(model, ids);
    const std::vector<ExplainedPosition> positions = explain(model, ids, 1);
    REQUIRE(std::ssize(in.losses) == T);
    for (std::size_t t = 0; t < in.losses.size(); ++t)
      CHECK(in.losses[t] == approx(positions[t].loss).epsilon(kSameLoss));
  }
  const std::vector<std::int32_t> one = {5};
  CHECK_THROWS_WITH(look_inside(model, one), contains("1 token, expected at least 2"));
}

TEST_CASE("inside: each row of attention sums to 1 and sees no later token") {
  GPT2 model = small_model();
  const Inside in = look_inside(model, some_ids(24));
  for (std::int64_t l = 0; l < in.L; ++l) {
    for (std::int64_t h = 0; h < in.NH; ++h) {
      const std::span<const double> p = in.attention_of(l, h);
      for (std::size_t t = 0; t < 24; ++t) {
        double sum = 0;
        for (std::size_t k = 0; k < 24; ++k) {
          sum += p[t * 24 + k];
          if (k > t) CHECK(p[t * 24 + k] == 0.0);
          if (k <= t) CHECK(p[t * 24 + k] > 0.0);
        }
        CHECK(sum == approx(1.0).epsilon(1e-12));
      }
    }
  }
}

TEST_CASE("inside: the attention's weights times the values are what the engine's attention gives") {
  GPT2 model = small_model();
  const std::int64_t T = 24, C = 30, HS = 10;
  const std::vector<std::int32_t> ids = some_ids(T);
  std::vector<std::int32_t> inputs(ids.begin(), ids.end() - 1);
  Tape tape(Recording::off);
  Parameters& w = model.parameters();
  const auto leaf = [&](GPT2Tensor t) { return w.layer_leaf(tape, t, 0, LeafGradient::overwrite); };
  const Tensor x = embedding(tape, w.leaf(tape, kWte, LeafGradient::overwrite),
                             w.leaf(tape, kWpe, LeafGradient::overwrite), Tensor(inputs.data(), {1, T}), 131);
  const Tensor qkv = linear(tape, layernorm(tape, x, leaf(kLn1w), leaf(kLn1b)), leaf(kQkvw), leaf(kQkvb));
  const Tensor a = attention(tape, qkv, 3);
  const Inside in = look_inside(model, ids);
  for (std::int64_t h = 0; h < 3; ++h) {
    const std::span<const double> p = in.attention_of(0, h);
    for (std::int64_t t = 0; t < T; ++t) {
      for (std::int64_t c = 0; c < HS; ++c) {
        double sum = 0;
        for (std::int64_t k = 0; k <= t; ++k)
          sum += p[static_cast<std::size_t>(t * T + k)] *
                 static_cast<double>(qkv.f32()[k * 3 * C + 2 * C + h * HS + c]);
        CHECK(sum == approx(static_cast<double>(a.f32()[t * C + h * HS + c])).margin(1e-5));
      }
    }
  }
}

TEST_CASE("inside: a model without a head is the model whose projection has zeros for the head's outputs") {
  GPT2 model = small_model();
  const std::int64_t C = 30, HS = 10;
  const std::vector<std::int32_t> ids = some_ids(20);
  const Inside in = look_inside(model, ids);
  const double whole = mean_loss(explain(model, ids, 1));
  for (std::int64_t l = 0; l < 2; ++l) {
    for (std::int64_t h = 0; h < 3; ++h) {
      GPT2 changed = small_model();
      const std::span<float> projection = changed.parameters().values_of(kAttprojw);  // (L, C, C)
      for (std::int64_t o = 0; o < C; ++o)
        std::fill_n(projection.begin() + (l * C + o) * C + h * HS, HS, 0.0f);
      const std::vector<ExplainedPosition> want = explain(changed, ids, 1);
      const std::span<const double> got = in.losses_without(l, h);
      INFO("layer " << l << ", head " << h);
      for (std::size_t t = 0; t < want.size(); ++t) CHECK(got[t] == approx(want[t].loss).epsilon(kSameLoss));
      CHECK(std::abs(mean_loss(want) - whole) > 1e-4);  // the head does something
    }
  }
}

TEST_CASE("inside: gradients of embeddings are equal to finite differences of the loss") {
  GPT2 model = small_model();
  const std::vector<std::int32_t> ids = some_ids(5);
  const Inside in = look_inside(model, ids);
  const std::int64_t C = 30;
  const std::span<float> wpe = model.parameters().values_of(kWpe);
  constexpr float kStep = 1e-2f;
  for (std::int64_t t = 0; t < 5; ++t) {
    double squares = 0;
    for (std::int64_t c = 0; c < C; ++c) {
      float& x = wpe[static_cast<std::size_t>(t * C + c)];  // row t is used at position t only
      const float before = x;
      x = before + kStep;
      const double up = mean_loss(explain(model, ids, 1));
      x = before - kStep;
      const double down = mean_loss(explain(model, ids, 1));
      x = before;
      const double slope = (up - down) / (2 * static_cast<double>(kStep));
      squares += slope * slope;
    }
    // The differences have the error of a loss in float, 1e-6, divided by the step.
    CHECK(in.gradient_norms[static_cast<std::size_t>(t)] == approx(std::sqrt(squares)).epsilon(0.01));
  }
}

TEST_CASE("inside: habits are means over the positions") {
  const std::vector<double> p = {1, 0, 0, 0.25, 0.75, 0, 0.5, 0.125, 0.375};
  const HeadHabits found = habits(p, 3);
  CHECK(found.self == approx((1 + 0.75 + 0.375) / 3));
  CHECK(found.previous == approx((0.25 + 0.125) / 2));
  CHECK(found.first == approx((0.25 + 0.5) / 2));
  const HeadHabits one = habits(std::vector<double>{1}, 1);
  CHECK(one.self == 1.0);
  CHECK(one.previous == 0.0);
}

TEST_CASE("inside: progress is told once for each layer, and weights that are too large are an error") {
  GPT2 model = small_model();
  std::vector<std::int64_t> layers;
  look_inside(model, some_ids(3), [&](std::int64_t l) { layers.push_back(l); });
  CHECK(layers == std::vector<std::int64_t>{0, 1});
  for (float& w : model.parameters().values()) w *= 1e30f;
  CHECK_THROWS_WITH(look_inside(model, some_ids(3)), contains("not a finite number"));
}

}  // namespace
}  // namespace inkling
