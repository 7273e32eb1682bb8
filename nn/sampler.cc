#include "nn/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace inkling {

void SamplerSettings::check() const {
  if (!(temperature >= 0.0f) || std::isinf(temperature))
    fail("temperature is ", temperature, ", expected 0 or more");
  if (top_k < 0) fail("top-k is ", top_k, ", expected 0 (all) or more");
  if (!(top_p > 0.0f && top_p <= 1.0f)) fail("top-p is ", top_p, ", expected more than 0 and at most 1");
}

Sampler::Sampler(const SamplerSettings& settings) : settings_(settings) {
  settings_.check();
}

std::span<const Candidate> Sampler::candidates(std::span<const float> logits) {
  if (logits.empty()) fail("sample: no logits");
  candidates_.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) fail("sample: logit ", i, " is nan");
    candidates_[i] = {static_cast<std::int32_t>(i), logits[i]};
  }
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
  };
  // Greedy is top-1. Only a cut needs an order, and top-k only that of the k best.
  const std::size_t wanted = settings_.temperature == 0.0f ? 1
                             : settings_.top_k > 0         ? static_cast<std::size_t>(settings_.top_k)
                                                           : candidates_.size();
  const std::size_t kept = std::min(wanted, candidates_.size());
  if (kept < candidates_.size() || settings_.top_p < 1.0f) {
    const auto end = candidates_.begin() + static_cast<std::ptrdiff_t>(kept);
    std::partial_sort(candidates_.begin(), end, candidates_.end(), likelier);
    candidates_.resize(kept);
  }

  // Softmax over what is left, in double: at most V terms.
  const double best = std::min_element(candidates_.begin(), candidates_.end(), likelier)->probability;
  const double temperature = settings_.temperature == 0.0f ? 1.0 : settings_.temperature;
  double total = 0;
  for (Candidate& c : candidates_) {
    const double weight = c.probability == best ? 1.0 : std::exp((c.probability - best) / temperature);
    c.probability = static_cast<float>(weight);
    total += weight;
  }
  // The nucleus: the shortest prefix that holds top_p of the mass.
  double mass = 0;
  std::size_t nucleus = 0;
  while (nucleus < candidates_.size() &&
         (nucleus == 0 || settings_.top_p >= 1.0f || mass < settings_.top_p * total)) {
    mass += candidates_[nucleus++].probability;
  }
  candidates_.resize(nucleus);
  for (Candidate& c : candidates_) c.probability = static_cast<float>(c.probability / mass);
  return candidates_;
}

std::int32_t Sampler::sample(std::span<const float> logits, Rng& rng) {
  const std::span<const Candidate> all = candidates(logits);
  double left = rng.uniform();
  for (const Candidate& c : all) {
    left -= c.probability;
    if (left < 0) return c.id;
  }
  return all.back().id;  // rounding left a crumb
}

}  // namespace inkling
