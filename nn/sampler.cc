#include "nn/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "ops/elementwise.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

// The index of the greatest logit, the first on a tie.
std::size_t likeliest(std::span<const float> logits) {
  if (logits.empty()) fail("sample: no logits");
  std::size_t best = 0;
  for (std::size_t i = 0; i < logits.size(); ++i) {
    if (std::isnan(logits[i])) fail("sample: logit ", i, " is nan");
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

// Keeps the k likeliest, in their order.
void cut_to_top_k(std::vector<Candidate>& candidates, std::int64_t k) {
  if (k >= std::ssize(candidates)) return;
  std::partial_sort(candidates.begin(), candidates.begin() + k, candidates.end(), likelier);
  candidates.resize(static_cast<std::size_t>(k));
}

// Keeps the nucleus. It is small most of the time. All n candidates below (1 - p) / n of the mass make less
// than 1 - p together, so it is among the others; a heap gives the likeliest of these one by one.
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

}  // namespace

void SamplerSettings::check() const {
  if (!(temperature >= 0.0f) || std::isinf(temperature))
    fail("temperature is ", temperature, ", expected 0 or more");
  if (top_k < 0) fail("top-k is ", top_k, ", expected 0 (all) or more");
  if (!(top_p > 0.0f && top_p <= 1.0f)) fail("top-p is ", top_p, ", expected more than 0 and at most 1");
}

Sampler::Sampler(const SamplerSettings& settings) : settings_(settings) {
  settings_.check();
}

// Logits z become e^((z - best) / temperature): 1 for the best, even if it is infinite.
void Sampler::weigh(float best) {
  exponents_.resize(candidates_.size());
  for (std::size_t i = 0; i < candidates_.size(); ++i) {
    const float z = candidates_[i].probability;
    exponents_[i] = z == best ? 0.0f : (z - best) / settings_.temperature;
  }
  kernels().unary_forward(Unary::exp, exponents_.data(), exponents_.data(), std::ssize(exponents_), 0.0f);
  for (std::size_t i = 0; i < candidates_.size(); ++i) candidates_[i].probability = exponents_[i];
}

std::span<const Candidate> Sampler::candidates(std::span<const float> logits) {
  const std::size_t best = likeliest(logits);
  if (settings_.temperature == 0.0f) {
    candidates_.assign(1, {static_cast<std::int32_t>(best), 1.0f});
    return candidates_;
  }
  candidates_.resize(logits.size());
  for (std::size_t i = 0; i < logits.size(); ++i) candidates_[i] = {static_cast<std::int32_t>(i), logits[i]};
  if (settings_.top_k > 0) cut_to_top_k(candidates_, settings_.top_k);
  weigh(logits[best]);
  if (settings_.top_p < 1.0f) cut_to_top_p(candidates_, settings_.top_p);
  const double total = mass(candidates_);
  for (Candidate& c : candidates_)
    c.probability = static_cast<float>(static_cast<double>(c.probability) / total);
  return candidates_;
}

std::int32_t Sampler::sample(std::span<const float> logits, Rng& rng) {
  const std::span<const Candidate> all = candidates(logits);
  double left = rng.uniform();
  std::int32_t last = all.front().id;
  for (const Candidate& c : all) {
    if (c.probability == 0.0f) continue;
    last = c.id;
    left -= static_cast<double>(c.probability);
    if (left < 0) break;
  }
  return last;  // rounding can leave the sum of probabilities just below 1
}

}  // namespace inkling
