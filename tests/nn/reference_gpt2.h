// GPT-2's forward pass in double, written like the formulas of the paper: one position after another, without
// tape and kernels. Tests compare the losses of a model with it.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "nn/gpt2.h"

namespace inkling::test {

class ReferenceGpt2 {
 public:
  explicit ReferenceGpt2(GPT2& model) : model_(model), config_(model.config()) {}

  // -log p(tokens[t + 1] | tokens[0 .. t]) for every t.
  std::vector<double> token_losses(std::span<const std::int32_t> tokens) {
    const std::size_t T = tokens.size() - 1, C = channels();
    std::vector<Vector> x(T);
    for (std::size_t t = 0; t < T; ++t) {
      x[t] = row(kWte, static_cast<std::size_t>(tokens[t]), C);
      add(x[t], row(kWpe, t, C));
    }
    for (std::size_t l = 0; l < static_cast<std::size_t>(config_.layers); ++l) block(x, l);
    std::vector<double> losses;
    for (std::size_t t = 0; t < T; ++t) {
      const Vector last = layernorm(x[t], row(kLnfw, 0, C), row(kLnfb, 0, C));
      double sum = 0;
      for (std::size_t v = 0; v < static_cast<std::size_t>(config_.vocab_size); ++v)
        sum += std::exp(product(row(kWte, v, C), last));
      losses.push_back(std::log(sum) - product(row(kWte, static_cast<std::size_t>(tokens[t + 1]), C), last));
    }
    return losses;
  }

 private:
  using Vector = std::vector<double>;

  std::size_t channels() const { return static_cast<std::size_t>(config_.channels); }

  // Row number `index` of a tensor; a row has n numbers.
  Vector row(GPT2Tensor tensor, std::size_t index, std::size_t n) const {
    const std::span<const float> values = model_.parameters().values_of(tensor).subspan(index * n, n);
    return {values.begin(), values.end()};
  }
  static void add(Vector& x, const Vector& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }
  static double product(const Vector& x, const Vector& y) {
    double sum = 0;
    for (std::size_t i = 0; i < x.size(); ++i) sum += x[i] * y[i];
    return sum;
  }
  static Vector layernorm(const Vector& x, const Vector& weight, const Vector& bias) {
    const auto n = static_cast<double>(x.size());
    double mean = 0, variance = 0;
    for (double v : x) mean += v / n;
    for (double v : x) variance += (v - mean) * (v - mean) / n;
    Vector y(x.size());
    for (std::size_t i = 0; i < x.size(); ++i)
      y[i] = (x[i] - mean) / std::sqrt(variance + 1e-5) * weight[i] + bias[i];
    return y;
  }
  // y = W x + b, where W (out, in) and b (out) belong to layer l.
  Vector linear(const Vector& x, GPT2Tensor weight, GPT2Tensor bias, std::size_t l, std::size_t out) const {
    Vector y = row(bias, l, out);
    for (std::size_t o = 0; o < out; ++o) y[o] += product(row(weight, l * out + o, x.size()), x);
    return y;
  }
  void block(std::vector<Vector>& x, std::size_t l) const {
    const std::size_t T = x.size(), C = channels(), NH = static_cast<std::size_t>(config_.heads), HS = C / NH;
    std::vector<Vector> qkv(T);
    for (std::size_t t = 0; t < T; ++t)
      qkv[t] = linear(layernorm(x[t], row(kLn1w, l, C), row(kLn1b, l, C)), kQkvw, kQkvb, l, 3 * C);
    for (std::size_t t = 0; t < T; ++t) {
      Vector attended(C);
      for (std::size_t h = 0; h < NH; ++h) {
        Vector weights;
        double sum = 0;
        for (std::size_t s = 0; s <= t; ++s) {
          double score = 0;
          for (std::size_t i = h * HS; i < (h + 1) * HS; ++i) score += qkv[t][i] * qkv[s][C + i];
          weights.push_back(std::exp(score / std::sqrt(static_cast<double>(HS))));
          sum += weights.back();
        }
        for (std::size_t s = 0; s <= t; ++s) {
          for (std::size_t i = h * HS; i < (h + 1) * HS; ++i)
            attended[i] += weights[s] / sum * qkv[s][2 * C + i];
        }
      }
      add(x[t], linear(attended, kAttprojw, kAttprojb, l, C));
      Vector inner = linear(layernorm(x[t], row(kLn2w, l, C), row(kLn2b, l, C)), kFcw, kFcb, l, 4 * C);
      for (double& v : inner)
        v *= 0.5 * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0)) * (v + 0.044715 * v * v * v)));
      add(x[t], linear(inner, kFcprojw, kFcprojb, l, C));
    }
  }

  GPT2& model_;
  GPT2Config config_;
};

}  // namespace inkling::test
