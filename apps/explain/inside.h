// What happens inside a GPT-2 while it reads a text: whom each head attends to, how the loss depends on each
// token's embedding, and what the model loses without a head.
//
//   attention     P_tk of each head (ops/attention/attention.h): how much position t takes from position k
//   gradients     |dL/dx_t|, where x_t is the embedding of position t (its token's plus its position's) and L
//                 is the mean loss of the text. The larger it is, the more a small change of x_t changes L.
//   ablation      the loss of each position if the head gives zeros instead of its output
//
// The engine's attention never stores P, so this file runs the forward pass of nn/gpt2.cc block by block,
// from the same ops and the same weights, in float32. Tests compare its losses with those of the model. It
// knows token ids and no text. Read next: explain_page.h, which shows the numbers.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "nn/gpt2.h"

namespace inkling {

struct Inside {
  std::int64_t T = 0, L = 0, NH = 0;        // positions, layers, heads in a layer
  std::vector<double> losses = {};          // (T): of the whole model
  std::vector<double> attention = {};       // (L, NH, T, T); 0 for k > t
  std::vector<double> gradient_norms = {};  // (T)
  std::vector<double> ablated = {};         // (L, NH, T): the losses without the head

  std::span<const double> attention_of(std::int64_t l, std::int64_t h) const {
    return part(attention, l, h, T * T);
  }
  std::span<const double> losses_without(std::int64_t l, std::int64_t h) const {
    return part(ablated, l, h, T);
  }

 private:
  std::span<const double> part(const std::vector<double>& all, std::int64_t l, std::int64_t h,
                               std::int64_t size) const {
    return std::span(all).subspan(static_cast<std::size_t>((l * NH + h) * size),
                                  static_cast<std::size_t>(size));
  }
};

// `ids` has at least 2 and at most maxT + 1 tokens; there is a position for each token but the last. The
// model computes in f32. `progress` is called before each layer whose heads are removed. Error if a loss is
// not a finite number.
Inside look_inside(
    GPT2& model, std::span<const std::int32_t> ids,
    const std::function<void(std::int64_t layer)>& progress = [](std::int64_t) {});

// What a head attends to, from its attention (T, T): means of P_tk over the positions t.
struct HeadHabits {
  double self = 0;      // k = t
  double previous = 0;  // k = t - 1, from t = 1 on
  double first = 0;     // k = 0, from t = 1 on
};
HeadHabits habits(std::span<const double> attention, std::int64_t T);

}  // namespace inkling
