// From flags to weights: a run of the Trainer against the same run written out in this test. The test takes
// the gradients from the model, because other tests check them. It computes everything else itself, in
// double: the order of the data, the mean over micro-batches, clipping, the learning rates and the optimiser.
#include <numbers>
#include <set>

#include "apps/run/trainer.h"
#include "apps/text/shard.h"
#include "nn/checkpoint.h"
#include "tests/apps/command_line.h"
#include "tests/apps/run/command_run.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

struct Recipe {
  const char* what;
  std::int64_t grad_accum;
  Words flags;                // for the schedule and the learning rates
  std::vector<double> rates;  // the learning rate of each step, computed by hand
  double grad_clip;
  double weight_decay;
  bool sgd = false;
  double momentum = 0;
  double beta1 = 0, beta2 = 0, eps = 0;
};

// The norm of the tiny model's gradient is always between these two.
constexpr double kBelowEveryNorm = 0.05, kAboveEveryNorm = 50;

// The gradients of the keys' biases are only rounding errors. eps is large enough that they move no weight.
const std::vector<Recipe>& recipes() {
  const double lr = 0.02, low = 0.004;
  static const std::vector<Recipe> all = {
      {.what = "adamw, linear",
       .grad_accum = 1,
       .flags = {"--schedule", "linear", "--lr", "0.02", "--min-lr", "0.004", "--warmup", "2"},
       .rates = {lr / 2, lr, lr, lr - (lr - low) / 3, lr - (lr - low) * 2 / 3},
       .grad_clip = 0,
       .weight_decay = 0.5,
       .beta1 = 0.8,
       .beta2 = 0.9,
       .eps = 1e-3},
      {.what = "adamw, cosine, clipped",
       .grad_accum = 2,
       .flags = {"--schedule", "cosine", "--lr", "0.02", "--min-lr", "0.004", "--warmup", "0"},
       .rates = {lr, low + (lr - low) * (1 + std::numbers::sqrt2 / 2) / 2, low + (lr - low) / 2,
                 low + (lr - low) * (1 - std::numbers::sqrt2 / 2) / 2},
       .grad_clip = kBelowEveryNorm,
       .weight_decay = 0,
       .beta1 = 0.5,
       .beta2 = 0.99,
       .eps = 1e-2},
      {.what = "adamw, wsd, a clipping limit above every gradient",
       .grad_accum = 3,
       .flags = {"--schedule", "wsd", "--lr", "0.02", "--min-lr", "0.004", "--warmup", "1"},
       .rates = {lr, lr, lr, lr, lr, lr, lr, lr, lr, (lr + low) / 2},
       .grad_clip = kAboveEveryNorm,
       .weight_decay = 0.1,
       .beta1 = 0.9,
       .beta2 = 0.95,
       .eps = 1e-2},
      {.what = "sgd with momentum",
       .grad_accum = 2,
       .flags = {"--schedule", "constant", "--lr", "0.02", "--warmup", "4"},
       .rates = {lr / 4, lr / 2, lr * 3 / 4, lr, lr, lr},
       .grad_clip = 0,
       .weight_decay = 0.3,
       .sgd = true,
       .momentum = 0.8},
      {.what = "sgd without momentum, clipped",
       .grad_accum = 1,
       .flags = {"--schedule", "constant", "--lr", "0.02", "--warmup", "0"},
       .rates = {lr, lr, lr},
       .grad_clip = kBelowEveryNorm,
       .weight_decay = 0,
       .sgd = true,
       .momentum = 0},
  };
  return all;
}

Words flags_of(const Recipe& r) {
  const auto number = [](double x) { return str(x); };
  const Words common = {"--grad-accum", str(r.grad_accum),       "--steps",        str(r.rates.size()),
                        "--grad-clip",  number(r.grad_clip),     "--weight-decay", number(r.weight_decay),
                        "--optimizer",  r.sgd ? "sgd" : "adamw", "--no-shuffle"};
  const Words own =
      r.sgd ? Words{"--momentum", number(r.momentum)}
            : Words{"--beta1", number(r.beta1), "--beta2", number(r.beta2), "--eps", number(r.eps)};
  return common + own + r.flags;
}

struct ByHand {
  std::vector<double> losses, norms, weights;
};

ByHand train_by_hand(const Recipe& r) {
  static const std::set<std::string> kDecay = {"wte", "wpe", "qkvw", "attprojw", "fcw", "fcprojw"};
  GPT2 model(kTinyModel);
  model.initialise(kTinySeed);
  const std::span<float> weights = model.parameters().values();
  const std::size_t n = weights.size();
  std::vector<double> decay(n, 0.0);
  for (const Parameter& p : model.parameters().table()) {
    const auto first = decay.begin() + p.offset;
    if (kDecay.contains(p.name)) std::fill(first, first + p.shape.numel(), r.weight_decay);
  }
  ByHand run;
  run.weights.assign(weights.begin(), weights.end());
  std::vector<double>& p = run.weights;
  std::vector<double> m(n, 0.0), v(n, 0.0);
  std::int64_t batch = 0;
  for (std::size_t step = 0; step < r.rates.size(); ++step) {
    std::vector<double> g(n, 0.0);
    double loss = 0;
    for (std::int64_t micro = 0; micro < r.grad_accum; ++micro, ++batch) {
      TinyBatch data(batch);
      Tape tape;
      const Tensor mean = model.loss(tape, data.ids(), data.targets());
      loss += static_cast<double>(mean.item()) / static_cast<double>(r.grad_accum);
      tape.backward(mean);
      const std::span<const float> gradients = model.parameters().gradients();
      for (std::size_t i = 0; i < n; ++i)
        g[i] += static_cast<double>(gradients[i]) / static_cast<double>(r.grad_accum);
    }
    const double norm = std::sqrt(dot(g, g));
    const double shorten = r.grad_clip > 0 && norm > r.grad_clip ? r.grad_clip / norm : 1;
    const double lr = r.rates[step], t = static_cast<double>(step + 1);
    for (std::size_t i = 0; i < n; ++i) {
      g[i] *= shorten;
      if (r.sgd) {
        m[i] = r.momentum * m[i] + g[i] + decay[i] * p[i];
        p[i] -= lr * m[i];
      } else {
        m[i] = r.beta1 * m[i] + (1 - r.beta1) * g[i];
        v[i] = r.beta2 * v[i] + (1 - r.beta2) * g[i] * g[i];
        const double m_hat = m[i] / (1 - std::pow(r.beta1, t)), v_hat = v[i] / (1 - std::pow(r.beta2, t));
        p[i] -= lr * (decay[i] * p[i] + m_hat / (std::sqrt(v_hat) + r.eps));
      }
      weights[i] = static_cast<float>(p[i]);
    }
    run.losses.push_back(loss);
    run.norms.push_back(norm);
  }
  return run;
}

// Floats against doubles, over at most ten steps. A step moves a weight by about 1e-2.
constexpr Tolerance kWeightRounding{2e-6, 2e-6};
constexpr double kLossRounding = 2e-6, kNormRounding = 2e-5, kRateRounding = 1e-7;

TEST_CASE("train step: a run gives the losses, norms and weights of the same run written out in double") {
  for (const Recipe& recipe : recipes()) {
    INFO(recipe.what);
    const CommandRun run(flags_of(recipe));
    const ByHand want = train_by_hand(recipe);
    const std::vector<json> steps = run.steps();
    REQUIRE(steps.size() == recipe.rates.size());
    for (std::size_t i = 0; i < steps.size(); ++i) {
      INFO("step " << i + 1);
      CHECK(steps[i].at("step") == i + 1);
      CHECK(steps[i].at("lr").get<double>() == approx(recipe.rates[i]).epsilon(kRateRounding));
      // The loss belongs to the weights before the update, the norm to the gradient before clipping.
      CHECK(steps[i].at("loss").get<double>() == approx(want.losses[i]).epsilon(kLossRounding));
      CHECK(steps[i].at("grad_norm").get<double>() == approx(want.norms[i]).epsilon(kNormRounding));
      if (recipe.grad_clip > 0) CHECK((want.norms[i] > recipe.grad_clip) == (recipe.grad_clip < 1));
    }
    check_close("weight", run.weights(), want.weights, kWeightRounding);
  }
}

TEST_CASE("train step: two micro-batches of 2 equal one batch of 4, and three equal one batch of 6") {
  // The sums have another order. AdamW multiplies this rounding error by up to lr / eps.
  constexpr Tolerance kOtherOrder{2e-6, 2e-6};
  for (std::int64_t n : {2, 3}) {
    INFO(n << " micro-batches");
    const Words common = {"--steps", "4", "--no-shuffle", "--lr", "0.01", "--eps", "0.001"};
    const CommandRun parts(common + Words{"--grad-accum", str(n)}),
        whole(common + Words{"--batch-size", str(n * kTinyB)});
    check_close("weight", parts.weights(), whole.weights(), kOtherOrder);
    for (std::size_t step = 0; step < 4; ++step) {
      const double loss = whole.steps()[step].at("loss"), norm = whole.steps()[step].at("grad_norm");
      CHECK(parts.steps()[step].at("loss").get<double>() == approx(loss).epsilon(kLossRounding));
      CHECK(parts.steps()[step].at("grad_norm").get<double>() == approx(norm).epsilon(kNormRounding));
    }
  }
}

TEST_CASE(
    "train step: tokens_per_s is the number of tokens in all micro-batches, divided by the step's time") {
  for (std::int64_t n : {1, 3}) {
    for (const json& line : CommandRun({"--steps", "3", "--grad-accum", str(n)}).steps()) {
      const double tokens = static_cast<double>(n * kTinyB * kTinyT), ms = line.at("ms");
      CHECK(ms > 0);
      CHECK(line.at("tokens_per_s").get<double>() == approx(tokens / (ms / 1000)).epsilon(1e-9));
    }
  }
}

}  // namespace
}  // namespace inkling
