// A second GPT-2, in double and in plain loops. Tests compare the model with it. It shares no code with the
// model and is slow. It reads its weights from one flat buffer in the order of FORMATS.md (llm.c's order).
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <span>
#include <vector>

#include "nn/gpt2_config.h"

namespace inkling::test {

class NaiveGPT2 {
 public:
  explicit NaiveGPT2(const GPT2Config& config) : config_(config) {}

  // Logits (T, V) of one text. Its first token is at position 0.
  std::vector<double> logits(const std::vector<double>& weights, std::span<const std::int32_t> ids) const {
    const std::size_t T = ids.size(), C = n(config_.channels), V = n(config_.vocab_size);
    const std::size_t L = n(config_.layers), Vp = (V + 127) / 128 * 128;
    const double* at = weights.data();
    const auto take = [&](std::size_t count) {
      const double* begin = at;
      at += count;
      return begin;
    };
    const double *wte = take(Vp * C), *wpe = take(n(config_.max_seq_len) * C);
    const double *ln1w = take(L * C), *ln1b = take(L * C), *qkvw = take(L * 3 * C * C),
                 *qkvb = take(L * 3 * C);
    const double *attprojw = take(L * C * C), *attprojb = take(L * C), *ln2w = take(L * C),
                 *ln2b = take(L * C);
    const double *fcw = take(L * 4 * C * C), *fcb = take(L * 4 * C), *fcprojw = take(L * C * 4 * C);
    const double *fcprojb = take(L * C), *lnfw = take(C), *lnfb = take(C);

    std::vector<double> x(T * C);
    for (std::size_t t = 0; t < T; ++t) {
      for (std::size_t c = 0; c < C; ++c) x[t * C + c] = wte[n(ids[t]) * C + c] + wpe[t * C + c];
    }
    for (std::size_t l = 0; l < L; ++l) {
      const auto qkv =
          linear(layernorm(x, ln1w + l * C, ln1b + l * C), qkvw + l * 3 * C * C, qkvb + l * 3 * C, C, 3 * C);
      add(x, linear(attention(qkv, T), attprojw + l * C * C, attprojb + l * C, C, C));
      auto h =
          linear(layernorm(x, ln2w + l * C, ln2b + l * C), fcw + l * 4 * C * C, fcb + l * 4 * C, C, 4 * C);
      for (double& v : h) v = gelu(v);
      add(x, linear(h, fcprojw + l * 4 * C * C, fcprojb + l * C, 4 * C, C));
    }
    return linear(layernorm(x, lnfw, lnfb), wte, nullptr, C, V);
  }

  // The loss of each token; 0 if its target is -1.
  std::vector<double> token_losses(const std::vector<double>& weights, std::span<const std::int32_t> ids,
                                   std::span<const std::int32_t> targets) const {
    const std::size_t V = n(config_.vocab_size);
    const std::vector<double> z = logits(weights, ids);
    std::vector<double> losses(ids.size());
    for (std::size_t t = 0; t < ids.size(); ++t) {
      if (targets[t] < 0) continue;
      double sum = 0;
      for (std::size_t v = 0; v < V; ++v) sum += std::exp(z[t * V + v]);
      losses[t] = std::log(sum) - z[t * V + n(targets[t])];
    }
    return losses;
  }

 private:
  static std::size_t n(std::int64_t size) { return static_cast<std::size_t>(size); }

  static void add(std::vector<double>& x, const std::vector<double>& y) {
    for (std::size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  static double gelu(double x) {
    return 0.5 * x * (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
  }

  std::vector<double> layernorm(const std::vector<double>& x, const double* w, const double* b) const {
    const std::size_t C = n(config_.channels);
    std::vector<double> y(x.size());
    for (std::size_t row = 0; row < x.size(); row += C) {
      double mean = 0, variance = 0;
      for (std::size_t c = 0; c < C; ++c) mean += x[row + c] / static_cast<double>(C);
      for (std::size_t c = 0; c < C; ++c)
        variance += (x[row + c] - mean) * (x[row + c] - mean) / static_cast<double>(C);
      for (std::size_t c = 0; c < C; ++c)
        y[row + c] = (x[row + c] - mean) / std::sqrt(variance + 1e-5) * w[c] + b[c];
    }
    return y;
  }

  // y = x w^T + b for each row: x (rows, IC), w (OC, IC), b (OC), y (rows, OC).
  static std::vector<double> linear(const std::vector<double>& x, const double* w, const double* b,
                                    std::size_t IC, std::size_t OC) {
    std::vector<double> y(x.size() / IC * OC);
    for (std::size_t row = 0; row < x.size() / IC; ++row) {
      for (std::size_t o = 0; o < OC; ++o) {
        double sum = b == nullptr ? 0 : b[o];
        for (std::size_t i = 0; i < IC; ++i) sum += x[row * IC + i] * w[o * IC + i];
        y[row * OC + o] = sum;
      }
    }
    return y;
  }

  // A row of qkv is Q | K | V. Head h uses columns [h HS, (h+1) HS) of each of the three.
  std::vector<double> attention(const std::vector<double>& qkv, std::size_t T) const {
    const std::size_t C = n(config_.channels), NH = n(config_.heads), HS = C / NH;
    std::vector<double> out(T * C), p(T);
    for (std::size_t h = 0; h < NH; ++h) {
      for (std::size_t t = 0; t < T; ++t) {
        double sum = 0;
        for (std::size_t k = 0; k <= t; ++k) {
          double score = 0;
          for (std::size_t c = 0; c < HS; ++c)
            score += qkv[t * 3 * C + h * HS + c] * qkv[k * 3 * C + C + h * HS + c];
          sum += p[k] = std::exp(score / std::sqrt(static_cast<double>(HS)));
        }
        for (std::size_t k = 0; k <= t; ++k) {
          for (std::size_t c = 0; c < HS; ++c)
            out[t * C + h * HS + c] += p[k] / sum * qkv[k * 3 * C + 2 * C + h * HS + c];
        }
      }
    }
    return out;
  }

  GPT2Config config_;
};

}  // namespace inkling::test
