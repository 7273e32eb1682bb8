// The head with a large vocabulary, so that its rows are computed in several chunks of 2^25 logits or fewer.
//
// Token v has the same embedding as token v % kKinds. So a row has only kKinds different logits, and the
// expected losses and gradients are sums of kKinds terms in double.
#include <algorithm>
#include <array>

#include "core/memory.h"
#include "ops/linear_cross_entropy.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr std::int64_t kKinds = 61, kChannels = 3;
// With more than 2^18 tokens, 2^25 logits are less than 128 rows. A chunk then has 64 rows.
constexpr std::int64_t kTokens = (std::int64_t{1} << 18) + 70, kPaddedTokens = kTokens + 26;

// Float sums of 2^18 probabilities in blocks, with an exp for each, have a relative error of about 1e-6. The
// gradient of a single token can be 1e-8 / 130, so the tolerance is relative.
constexpr Tolerance kLossTolerance{2e-6, 2e-6};
constexpr Tolerance kGradientTolerance{1e-10, 3e-5};
// In bf16 dlogits are rounded before they are multiplied.
constexpr Tolerance kBf16GradientTolerance{1e-9, 4 * kBf16Rounding};
constexpr Tolerance kBf16InputTolerance{1e-5, 4 * kBf16Rounding};  // dx adds up terms of either sign

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

struct Head {
  std::int64_t N;
  std::vector<float> x, wte, kinds;
  std::vector<std::int32_t> targets;
  std::vector<double> losses, dx, dwte;  // of the mean loss
  double mean = 0;

  explicit Head(std::int64_t rows) : N(rows), x(random_bf16s(N * kChannels, 1)) {
    // Positive, so that the terms of a gradient do not cancel.
    kinds = random_bf16s(kKinds * kChannels, 2, 0.5);
    for (float& v : kinds) v = std::abs(v);
    for (float& v : x) v = std::abs(v);
    wte.resize(index(kPaddedTokens * kChannels));
    for (std::int64_t v = 0; v < kPaddedTokens; ++v) {
      std::copy_n(kinds.begin() + v % kKinds * kChannels, kChannels, wte.begin() + v * kChannels);
    }
    for (std::int64_t i = 0; i < N; ++i) targets.push_back(static_cast<std::int32_t>(i * 1999 % kTokens));
    for (const std::int64_t i : {std::int64_t{0}, std::int64_t{5}, std::int64_t{63}, std::int64_t{64}, N - 2})
      targets[index(i)] = -1;
    const auto counted =
        static_cast<double>(std::count_if(targets.begin(), targets.end(), [](auto t) { return t >= 0; }));
    losses.resize(index(N)), dx.resize(index(N * kChannels)), dwte.resize(index(kPaddedTokens * kChannels));
    std::vector<double> dkind(index(kKinds * kChannels));  // of a token of each kind that is not a target
    for (std::int64_t i = 0; i < N; ++i) {
      const std::int32_t target = targets[index(i)];
      if (target < 0) continue;
      const auto x_i = [&](std::int64_t c) { return static_cast<double>(x[index(i * kChannels + c)]); };
      const auto kind = [&](std::int64_t k, std::int64_t c) {
        return static_cast<double>(kinds[index(k * kChannels + c)]);
      };
      std::array<double, kKinds> e{};
      double sum = 0;
      for (std::int64_t k = 0; k < kKinds; ++k) {
        double logit = 0;
        for (std::int64_t c = 0; c < kChannels; ++c) logit += x_i(c) * kind(k, c);
        e[index(k)] = std::exp(logit);
        sum += e[index(k)] * static_cast<double>(tokens_of(k));
      }
      losses[index(i)] = std::log(sum) - std::log(e[index(target % kKinds)]);
      mean += losses[index(i)] / counted;
      for (std::int64_t c = 0; c < kChannels; ++c) {
        dwte[index(target * kChannels + c)] -= x_i(c) / counted;
        dx[index(i * kChannels + c)] -= kind(target % kKinds, c) / counted;
        for (std::int64_t k = 0; k < kKinds; ++k) {
          const double p = e[index(k)] / sum / counted;
          dx[index(i * kChannels + c)] += static_cast<double>(tokens_of(k)) * p * kind(k, c);
          dkind[index(k * kChannels + c)] += p * x_i(c);
        }
      }
    }
    for (std::int64_t v = 0; v < kTokens; ++v) {
      for (std::int64_t c = 0; c < kChannels; ++c)
        dwte[index(v * kChannels + c)] += dkind[index(v % kKinds * kChannels + c)];
    }
  }
  static std::int64_t tokens_of(std::int64_t kind) {
    return kTokens / kKinds + (kind < kTokens % kKinds ? 1 : 0);
  }
};

std::span<const float> span(const std::vector<float>& x) {
  return x;
}

TEST_CASE("linear_cross_entropy: over three chunks of rows, losses and all gradients agree with double") {
  Head h(130);  // 64, 64 and 2 rows
  std::vector<float> dx(h.x.size(), NAN), dwte(h.wte.size(), NAN), losses(index(h.N));
  const Tensor targets(h.targets.data(), {h.N});
  Tape tape;
  const Tensor x = tape.leaf(h.x.data(), dx.data(), {h.N, kChannels}, LeafGradient::overwrite);
  const Tensor wte =
      tape.leaf(h.wte.data(), dwte.data(), {kPaddedTokens, kChannels}, LeafGradient::overwrite);
  const Tensor loss = linear_cross_entropy(tape, x, wte, targets, kTokens);
  CHECK(std::abs(static_cast<double>(loss.item()) - h.mean) < 2e-6 * h.mean);
  tape.backward(loss);
  check_close("dx", span(dx), h.dx, {1e-6, 3e-5});
  check_close("dwte", span(dwte), h.dwte, kGradientTolerance);
  linear_token_losses(losses.data(), x.detach(), wte.detach(), targets, kTokens);
  check_close("losses", span(losses), h.losses, kLossTolerance);
}

TEST_CASE("linear_cross_entropy: in bf16, over two chunks of rows, the gradients agree with double") {
  Head h(66);
  const auto bytes = [](std::int64_t N, std::int64_t K) {
    return static_cast<std::size_t>(packed_b_count(N, K)) * sizeof(bf16);
  };
  const Pages forward(bytes(kPaddedTokens, kChannels)), backward(bytes(kChannels, kPaddedTokens));
  auto *packed = reinterpret_cast<bf16*>(forward.data()),
       *transposed = reinterpret_cast<bf16*>(backward.data());
  pack_weight_rows(packed, transposed, h.wte.data(), kPaddedTokens, kChannels, 0, kPaddedTokens);
  std::vector<float> dx(h.x.size(), NAN), dwte(h.wte.size(), 1.0f);
  Tape tape;
  const Tensor x = tape.leaf(h.x.data(), dx.data(), {h.N, kChannels}, LeafGradient::overwrite);
  const Tensor wte =
      tape.leaf(h.wte.data(), dwte.data(), {kPaddedTokens, kChannels}, LeafGradient::overwrite);
  const Tensor loss =
      linear_cross_entropy(tape, x, {wte, packed, transposed}, Tensor(h.targets.data(), {h.N}), kTokens);
  CHECK(std::abs(static_cast<double>(loss.item()) - h.mean) < 2e-6 * h.mean);
  tape.backward(loss);
  check_close("dx", span(dx), h.dx, kBf16InputTolerance);
  check_close("dwte", span(dwte), h.dwte, kBf16GradientTolerance);
}

}  // namespace
}  // namespace inkling
