#include "apps/explain/inside.h"

#include <algorithm>
#include <cmath>

#include "apps/run/format.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/portable_math.h"
#include "ops/attention/attention.h"
#include "ops/embedding.h"
#include "ops/gelu.h"
#include "ops/layernorm.h"
#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"

namespace inkling {

namespace {

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

// The parts of the forward pass of nn/gpt2.cc, one function each.
class OpenForward {
 public:
  explicit OpenForward(GPT2& model) : model_(model), config_(model.config()) {}

  Tensor embed(Tape& tape, const Tensor& ids) const {  // (B, T) -> (B, T, C)
    return embedding(tape, whole(tape, kWte), whole(tape, kWpe), ids, config_.vocab_size);
  }
  Tensor qkv(Tape& tape, const Tensor& x, std::int64_t l) const {  // (B, T, C) -> (B, T, 3C)
    const Tensor n = layernorm(tape, x, w(tape, kLn1w, l), w(tape, kLn1b, l));
    return linear(tape, n, w(tape, kQkvw, l), w(tape, kQkvb, l));
  }
  // The rest of a block, from what the heads give: a (B, T, C).
  Tensor after_heads(Tape& tape, const Tensor& x, const Tensor& a, std::int64_t l) const {
    const Tensor y = linear_add(tape, x, a, w(tape, kAttprojw, l), w(tape, kAttprojb, l));
    const Tensor n = layernorm(tape, y, w(tape, kLn2w, l), w(tape, kLn2b, l));
    const Tensor h = gelu(tape, linear(tape, n, w(tape, kFcw, l), w(tape, kFcb, l)));
    return linear_add(tape, y, h, w(tape, kFcprojw, l), w(tape, kFcprojb, l));
  }
  Tensor block(Tape& tape, const Tensor& x, std::int64_t l) const {
    return after_heads(tape, x, inkling::attention(tape, qkv(tape, x, l), config_.heads), l);
  }
  // The losses of all positions (B, T).
  std::vector<float> losses(Tape& tape, const Tensor& x, const Tensor& targets) const {
    const Tensor n = layernorm(tape, x, whole(tape, kLnfw), whole(tape, kLnfb));
    std::vector<float> result(index(targets.numel()));
    linear_token_losses(result.data(), n, whole(tape, kWte), targets, config_.vocab_size);
    return result;
  }

 private:
  Tensor whole(Tape& tape, GPT2Tensor t) const {
    return model_.parameters().leaf(tape, t, LeafGradient::overwrite);
  }
  Tensor w(Tape& tape, GPT2Tensor t, std::int64_t l) const {
    return model_.parameters().layer_leaf(tape, t, l, LeafGradient::overwrite);
  }

  GPT2& model_;
  const GPT2Config& config_;
};

// P (T, T) of head h, by its definition. qkv (T, 3C).
void attention_weights(double* p, const float* qkv, std::int64_t T, std::int64_t C, std::int64_t HS,
                       std::int64_t h) {
  const double scale = 1 / std::sqrt(static_cast<double>(HS));
  for (std::int64_t t = 0; t < T; ++t) {
    double* const row = p + t * T;
    const float* const q = qkv + t * 3 * C + h * HS;
    for (std::int64_t k = 0; k <= t; ++k) {
      const float* const key = qkv + k * 3 * C + C + h * HS;
      double score = 0;
      for (std::int64_t c = 0; c < HS; ++c) score += static_cast<double>(q[c]) * static_cast<double>(key[c]);
      row[k] = scale * score;
    }
    const double most = *std::max_element(row, row + t + 1);
    double sum = 0;
    for (std::int64_t k = 0; k <= t; ++k) sum += row[k] = portable::exp(row[k] - most);
    for (std::int64_t k = 0; k <= t; ++k) row[k] /= sum;
  }
}

// Position t occurs once in the text, so the gradient of x_t is the gradient of row t of wpe.
std::vector<double> gradient_norms(GPT2& model, const Tensor& ids, const Tensor& targets) {
  Tape tape;
  tape.backward(model.loss(tape, ids, targets));
  const std::int64_t C = model.config().channels;
  const float* const dwpe =
      model.parameters().gradients().data() + model.parameters().table()[kWpe].offset;  // (maxT, C)
  std::vector<double> norms;
  for (std::int64_t t = 0; t < ids.numel(); ++t) {
    double squares = 0;
    for (const float g : std::span(dwpe + t * C, index(C)))
      squares += static_cast<double>(g) * static_cast<double>(g);
    norms.push_back(std::sqrt(squares));
  }
  return norms;
}

void check_finite(std::span<const float> losses) {
  for (const float loss : losses) {
    if (!std::isfinite(loss))
      fail("explain: a loss is not a finite number: the model has weights that are too large");
  }
}

// The heads of layer l are removed one by one: row h of the batch has the text without head h.
std::vector<float> losses_without_heads(const OpenForward& forward, const std::vector<float>& x,
                                        const std::vector<float>& a, std::vector<std::int32_t>& targets,
                                        const GPT2Config& config, std::int64_t l) {
  const std::int64_t NH = config.heads, C = config.channels, HS = config.head_size();
  const std::int64_t T = std::ssize(targets);
  std::vector<float> xs, as;                // (NH, T, C)
  std::vector<std::int32_t> targets_again;  // (NH, T)
  for (std::int64_t h = 0; h < NH; ++h) {
    xs.insert(xs.end(), x.begin(), x.end());
    as.insert(as.end(), a.begin(), a.end());
    targets_again.insert(targets_again.end(), targets.begin(), targets.end());
    for (std::int64_t t = 0; t < T; ++t) std::fill_n(as.data() + (h * T + t) * C + h * HS, HS, 0.0f);
  }
  Tape tape(Recording::off);
  Tensor y = forward.after_heads(tape, Tensor(xs.data(), {NH, T, C}), Tensor(as.data(), {NH, T, C}), l);
  const Arena::Mark mark = tape.mark();
  for (std::int64_t later = l + 1; later < config.layers; ++later)
    y = tape.rewind(mark, forward.block(tape, y, later));
  return forward.losses(tape, y, Tensor(targets_again.data(), {NH, T}));
}

std::vector<float> copy_of(const Tensor& x) {
  return {x.f32(), x.f32() + x.numel()};
}

}  // namespace

Inside look_inside(GPT2& model, std::span<const std::int32_t> ids,
                   const std::function<void(std::int64_t)>& progress) {
  const GPT2Config& config = model.config();
  const std::int64_t T = std::ssize(ids) - 1, L = config.layers, NH = config.heads, C = config.channels;
  if (T < 1)
    fail("explain: the text has ", format_number_of(std::ssize(ids), "token"), ", expected at least 2");
  std::vector<std::int32_t> inputs(ids.begin(), ids.end() - 1), targets(ids.begin() + 1, ids.end());
  const Tensor input(inputs.data(), {1, T}), target(targets.data(), {1, T});
  Inside in{.T = T, .L = L, .NH = NH};
  in.attention.resize(index(L * NH * T * T));
  const OpenForward forward(model);
  Tape tape(Recording::off);
  std::vector<float> x = copy_of(forward.embed(tape, input));
  for (std::int64_t l = 0; l < L; ++l) {
    progress(l);
    tape.clear();
    const Tensor before(x.data(), {1, T, C});
    const Tensor qkv = forward.qkv(tape, before, l);
    parallel_chunks(NH, [&](std::int64_t h) {
      attention_weights(in.attention.data() + (l * NH + h) * T * T, qkv.f32(), T, C, config.head_size(), h);
    });
    const Tensor a = attention(tape, qkv, NH);
    const std::vector<float> without = losses_without_heads(forward, x, copy_of(a), targets, config, l);
    check_finite(without);
    in.ablated.insert(in.ablated.end(), without.begin(), without.end());
    x = copy_of(forward.after_heads(tape, before, a, l));
  }
  const std::vector<float> losses = forward.losses(tape, Tensor(x.data(), {1, T, C}), target);
  check_finite(losses);
  in.losses.assign(losses.begin(), losses.end());
  in.gradient_norms = gradient_norms(model, input, target);
  return in;
}

HeadHabits habits(std::span<const double> p, std::int64_t T) {
  HeadHabits mean;
  for (std::int64_t t = 0; t < T; ++t) mean.self += p[index(t * T + t)] / static_cast<double>(T);
  for (std::int64_t t = 1; t < T; ++t) {
    mean.previous += p[index(t * T + t - 1)] / static_cast<double>(T - 1);
    mean.first += p[index(t * T)] / static_cast<double>(T - 1);
  }
  return mean;
}

}  // namespace inkling
