#include "nn/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

// Returns the index of the largest logit. If several logits are equally large, returns the lowest of their
// indices.
std::size_t likeliest(std::span<const float> logits) {
  if (logits.empty()) fail("sample: there are no logits, expected at least one");
  std::size_t best = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) fail("sample: logit ", i, " is nan, expected a number");
    if (logits[i] > logits[best]) best = i;
  }
  return best;
}

bool likelier(const Candidate& a, const Candidate& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.id < b.id;
}

double mass(std::span<const Candidate> candidates) {
  double sum = 0;
  for (const Candidate& c : candidates) sum += static_cast<double>(c.probability);
  return sum;
}

// top-k: keeps the k ids with the largest logits, the largest first.
void cut_to_top_k(std::vector<std::int32_t>& ids, std::span<const float> logits, std::int64_t k) {
  if (k >= std::ssize(ids)) return;
  const auto larger = [&](std::int32_t a, std::int32_t b) {
    const float z_a = logits[static_cast<std::size_t>(a)], z_b = logits[static_cast<std::size_t>(b)];
    return z_a != z_b ? z_a > z_b : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + k, ids.end(), larger);
  ids.resize(static_cast<std::size_t>(k));
}

// top-p: keeps the nucleus, the likeliest candidates whose probabilities sum to p. It usually has few
// candidates. First, all candidates with a probability below (1 - p) / n are removed: their sum is less than
// 1 - p, so none of them is needed to reach p. Then a heap returns the remaining candidates, the likeliest
// first, until their probabilities sum to p.
void cut_to_top_p(std::vector<Candidate>& candidates, float p) {
  const auto less_likely = [](const Candidate& a, const Candidate& b) { return likelier(b, a); };
  const double total = mass(candidates), wanted = static_cast<double>(p) * total;
  const auto least = static_cast<float>((total - wanted) / static_cast<double>(candidates.size()));
  std::erase_if(candidates, [least](const Candidate& c) { return c.probability < least; });
  std::make_heap(candidates.begin(), candidates.end(), less_likely);
  auto nucleus = candidates.end();
  double reached = 0;
  do {
    std::pop_heap(candidates.begin(), nucleus, less_likely);
    reached += static_cast<double>((--nucleus)->probability);
  } while (reached < wanted && nucleus != candidates.begin());
  candidates.erase(candidates.begin(), nucleus);
}

// min-p: keeps the candidates that are at least `min_p` times as likely as the likeliest one.
void cut_to_min_p(std::vector<Candidate>& candidates, float min_p) {
  float best = 0;
  for (const Candidate& c : candidates) best = std::max(best, c.probability);
  std::erase_if(candidates, [least = min_p * best](const Candidate& c) { return c.probability < least; });
}

}  // namespace

void SamplerSettings::check() const {
  if (!(temperature >= 0.0f) || std::isinf(temperature))
    fail("temperature is ", temperature, ", expected 0 or more");
  if (top_k < 0) fail("top-k is ", top_k, ", expected 0 (all tokens) or more");
  if (!(top_p > 0.0f && top_p <= 1.0f)) fail("top-p is ", top_p, ", expected more than 0 and at most 1");
  if (!(min_p >= 0.0f && min_p <= 1.0f)) fail("min-p is ", min_p, ", expected 0 (all tokens) to 1");
  if (!(repetition_penalty > 0.0f) || std::isinf(repetition_penalty))
    fail("repetition-penalty is ", repetition_penalty, ", expected more than 0 (1: no penalty)");
}

Sampler::Sampler(const SamplerSettings& settings) : settings_(settings) {
  settings_.check();
}

// Computes the probabilities of ids_: the softmax of their logits / temperature. `best` is the largest logit.
// It is subtracted before the division, so that an infinite logit becomes 0, not inf - inf.
void Sampler::softmax(std::span<const float> logits, float best) {
  const std::size_t n = ids_.size();
  scaled_.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    const float z = logits[static_cast<std::size_t>(ids_[i])];
    scaled_[i] = z == best ? 0.0f : (z - best) / settings_.temperature;
  }
  kernels().softmax_forward(scaled_.data(), scaled_.data(), 1, std::ssize(scaled_));
  candidates_.resize(n);
  for (std::size_t i = 0; i < n; ++i) candidates_[i] = {ids_[i], scaled_[i]};
}

// Returns the logits after the repetition penalty. A token that is in the text several times is penalised
// once, because each new logit is computed from the old logit.
std::span<const float> Sampler::penalised(std::span<const float> logits, std::span<const std::int32_t> text) {
  penalised_.assign(logits.begin(), logits.end());
  for (const std::int32_t id : text) {
    if (id == settings_.never_penalised) continue;
    const float z = logits[static_cast<std::size_t>(id)];
    penalised_[static_cast<std::size_t>(id)] =
        z > 0.0f ? z / settings_.repetition_penalty : z * settings_.repetition_penalty;
  }
  return penalised_;
}

std::span<const Candidate> Sampler::candidates(std::span<const float> logits,
                                               std::span<const std::int32_t> text) {
  if (settings_.repetition_penalty != 1.0f) logits = penalised(logits, text);
  const std::size_t best = likeliest(logits);
  if (settings_.temperature == 0.0f) {
    candidates_.assign(1, {static_cast<std::int32_t>(best), 1.0f});
    return candidates_;
  }
  ids_.resize(logits.size());
  std::iota(ids_.begin(), ids_.end(), 0);
  if (settings_.top_k > 0) cut_to_top_k(ids_, logits, settings_.top_k);
  softmax(logits, logits[best]);
  if (settings_.top_p < 1.0f) cut_to_top_p(candidates_, settings_.top_p);
  if (settings_.min_p > 0.0f) cut_to_min_p(candidates_, settings_.min_p);
  const double total = mass(candidates_);
  for (Candidate& c : candidates_)
    c.probability = static_cast<float>(static_cast<double>(c.probability) / total);
  return candidates_;
}

std::int32_t Sampler::sample(std::span<const float> logits, std::span<const std::int32_t> text, Rng& rng) {
  const std::span<const Candidate> all = candidates(logits, text);
  double left = rng.uniform();
  std::int32_t last = all.front().id;
  for (const Candidate& c : all) {
    if (c.probability == 0.0f) continue;
    last = c.id;
    left -= static_cast<double>(c.probability);
    if (left < 0) break;
  }
  return last;  // rounding can leave the sum of the probabilities just below 1
}

}  // namespace inkling
