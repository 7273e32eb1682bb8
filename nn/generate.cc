#include "nn/generate.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "core/portable_math.h"

namespace inkling {

namespace {

// The state of one text that is being generated.
struct Writer {
  std::int64_t text;
  Rng* rng;
  Sampler sampler;
  std::vector<std::int32_t> context;  // ids already in the cache, then the ids that the model reads next
  const float* logits = nullptr;      // the scores of the next token
  std::int32_t next = -1;             // the token that was drawn from the logits
  double log_probability = 0;         // NewToken::log_probability of `next`
};

// Clears the cache of one text, then the model reads the text's context again and fills the cache. If the
// context is longer than maxT, only its newest maxT/2 tokens are kept.
void read_again(GPT2& model, Tape& tape, Writer& writer, KvCache& cache) {
  const std::int64_t maxT = model.config().max_seq_len;
  auto& context = writer.context;
  if (std::ssize(context) > maxT)
    context.erase(context.begin(), context.end() - std::max<std::int64_t>(1, maxT / 2));
  cache.clear();
  writer.logits =
      model.next_logits(tape, Tensor(context.data(), {1, std::ssize(context)}), std::span(&cache, 1)).f32();
}

// Appends the newest token of each text to its KV cache and computes the logits of the next token, for all
// texts in one pass of the model. All texts have the same length, so all caches are full at the same step.
// Then read_again() fills each cache again.
void read_on(GPT2& model, Tape& tape, std::vector<Writer>& writers, std::vector<KvCache>& caches) {
  tape.clear();
  if (caches.front().length() == model.config().max_seq_len) {
    for (std::size_t i = 0; i < writers.size(); ++i) read_again(model, tape, writers[i], caches[i]);
    return;
  }
  std::vector<std::int32_t> ids;
  ids.reserve(writers.size());
  for (const Writer& writer : writers) ids.push_back(writer.context.back());
  const Tensor logits = model.next_logits(tape, Tensor(ids.data(), {std::ssize(ids), 1}), caches);
  for (std::size_t i = 0; i < writers.size(); ++i) {
    writers[i].logits = logits.f32() + static_cast<std::int64_t>(i) * logits.dim(1);
  }
}

// Returns log softmax(logits)[id].
double log_probability(std::span<const float> logits, std::int32_t id) {
  const auto best = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float z : logits) sum += portable::exp(static_cast<double>(z) - best);
  return static_cast<double>(logits[static_cast<std::size_t>(id)]) - best - portable::log(sum);
}

void draw_next(std::vector<Writer>& writers, std::int64_t vocab_size, bool log_probabilities) {
  parallel_chunks(std::ssize(writers), [&](std::int64_t i) {
    Writer& writer = writers[static_cast<std::size_t>(i)];
    const std::span logits(writer.logits, static_cast<std::size_t>(vocab_size));
    if (!std::all_of(logits.begin(), logits.end(), [](float z) { return std::isfinite(z); })) {
      fail(
          "generate: after ", writer.context.size(),
          " tokens, the scores of the next token are not finite numbers: the model has weights that are NaN, "
          "infinite or too large");
    }
    writer.next = writer.sampler.sample(logits, writer.context, *writer.rng);
    if (log_probabilities) writer.log_probability = log_probability(logits, writer.next);
  });
}

// Generates the texts with the indices first_text, first_text + 1, ...: one text for each Rng, at most
// kTogether. Returns the number of tokens.
std::int64_t generate_together(GPT2& model, std::span<const std::int32_t> prompt,
                               const GenerateSettings& settings, std::int64_t first_text, std::span<Rng> rngs,
                               const std::function<bool(const NewToken&)>& on_token) {
  Tape tape(Recording::off);
  std::vector<Writer> writers;
  std::vector<KvCache> caches;
  for (Rng& rng : rngs) {
    writers.push_back(
        {first_text + std::ssize(writers), &rng, Sampler(settings.sampler), {prompt.begin(), prompt.end()}});
    caches.emplace_back(model.config());
  }
  // The model reads the prompt for the first text. The other texts start from a copy of its cache and logits.
  read_again(model, tape, writers[0], caches[0]);
  for (std::size_t i = 1; i < writers.size(); ++i) {
    caches[i].copy(caches[0]);
    writers[i].context = writers[0].context;
    writers[i].logits = writers[0].logits;
  }
  std::int64_t made = 0;
  for (std::int64_t length = 0; length < settings.max_tokens && !writers.empty(); ++length) {
    if (length > 0) read_on(model, tape, writers, caches);
    draw_next(writers, model.config().vocab_size, settings.log_probabilities);
    for (std::size_t i = 0; i < writers.size();) {
      Writer& writer = writers[i];
      const bool stops = writer.next == settings.stop_token;
      made += stops ? 0 : 1;
      if (stops || !on_token({writer.text, writer.next, writer.log_probability})) {
        writers.erase(writers.begin() + static_cast<std::ptrdiff_t>(i));
        caches.erase(caches.begin() + static_cast<std::ptrdiff_t>(i));
      } else {
        writer.context.push_back(writer.next);
        ++i;
      }
    }
  }
  return made;
}

}  // namespace

std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      std::span<Rng> rngs, const std::function<bool(const NewToken&)>& on_token) {
  if (prompt.empty()) fail("generate: the prompt is empty, expected at least one token");
  std::int64_t made = 0;
  for (std::int64_t text = 0; text < std::ssize(rngs); text += kTogether) {
    const auto count = static_cast<std::size_t>(std::min(kTogether, std::ssize(rngs) - text));
    made += generate_together(model, prompt, settings, text,
                              rngs.subspan(static_cast<std::size_t>(text), count), on_token);
  }
  return made;
}

std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      std::span<Rng> rngs, const std::function<bool(std::int64_t, std::int32_t)>& on_token) {
  return generate(model, prompt, settings, rngs,
                  [&](const NewToken& token) { return on_token(token.text, token.id); });
}

std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      Rng& rng, const std::function<bool(std::int32_t)>& on_token) {
  return generate(model, prompt, settings, std::span(&rng, 1),
                  [&](const NewToken& token) { return on_token(token.id); });
}

}  // namespace inkling
