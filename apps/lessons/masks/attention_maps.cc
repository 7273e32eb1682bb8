// Lesson 3, attention of a trained model: with the causal mask, and with the same weights without it.
#include <algorithm>
#include <cmath>
#include <string>

#include "apps/lessons/masks/masked_gpt.h"
#include "apps/lessons/masks/masks.h"
#include "apps/lessons/story_run.h"
#include "apps/text/stories.h"
#include "core/error.h"

namespace inkling {

using namespace page;

namespace {

constexpr const char* kText = "Once there was a brave girl named Lily.";

std::string word(std::int32_t id) {
  if (id == story_tokenizer().end_of_text()) return "<e>";
  std::string text = story_tokenizer().token(id);
  text.erase(0, text.starts_with(' ') ? 1 : 0);
  return text;
}

// P of every head, layer after layer: (T, T) each.
std::vector<std::vector<double>> maps_of(GPT2& model, std::vector<std::int32_t> ids, Sees sees) {
  const std::int64_t T = std::ssize(ids), NH = model.config().heads;
  Tape tape(Recording::off);
  std::vector<std::vector<double>> maps;
  for (const Tensor& P : MaskedGpt(model, sees, T).attention(tape, Tensor(ids.data(), {1, T}))) {
    for (std::int64_t h = 0; h < NH; ++h) maps.emplace_back(P.f32() + h * T * T, P.f32() + (h + 1) * T * T);
  }
  return maps;
}

// The mean share of a token's attention that goes to later tokens, over all heads and tokens.
double share_of_the_future(const std::vector<std::vector<double>>& maps, std::int64_t T) {
  double future = 0;
  for (const std::vector<double>& map : maps) {
    for (std::int64_t t = 0; t < T; ++t) {
      for (std::int64_t k = t + 1; k < T; ++k) future += map[static_cast<std::size_t>(t * T + k)];
    }
  }
  return future / static_cast<double>(std::ssize(maps) * T);
}

// The largest change of the logits at the first half of a text when its last token is exchanged.
double change_of_the_past(GPT2& model, std::vector<std::int32_t> ids, Sees sees) {
  const std::int64_t T = std::ssize(ids), before = T / 2 * model.config().padded_vocab_size();
  MaskedGpt gpt(model, sees, T);
  Tape tape(Recording::off);
  const Tensor first = gpt.logits(tape, Tensor(ids.data(), {1, T}));
  ids.back() = ids[1];
  const Tensor second = gpt.logits(tape, Tensor(ids.data(), {1, T}));
  double most = 0;
  for (std::int64_t i = 0; i < before; ++i) {
    most =
        std::max(most, std::abs(static_cast<double>(first.f32()[i]) - static_cast<double>(second.f32()[i])));
  }
  return most;
}

// The largest difference between the logits of the engine and of the GPT with a visible mask.
double difference_from_engine(GPT2& model, std::vector<std::int32_t> ids) {
  const std::int64_t T = std::ssize(ids), V = model.config().vocab_size;
  const auto engine = logits_after_each(model, ids);
  Tape tape(Recording::off);
  const Tensor logits = MaskedGpt(model, Sees::past, T).logits(tape, Tensor(ids.data(), {1, T}));
  double most = 0;
  for (std::int64_t t = 0; t < T; ++t) {
    for (std::int64_t v = 0; v < V; ++v) {
      const double here = static_cast<double>(logits.f32()[t * logits.dim(2) + v]);
      most = std::max(most,
                      std::abs(here - static_cast<double>(
                                          engine[static_cast<std::size_t>(t)][static_cast<std::size_t>(v)])));
    }
  }
  return most;
}

}  // namespace

void attention_maps(Page& page, GPT2& model) {
  page.heading("Attention of a trained model");
  const std::vector<std::int32_t> ids = story_prompt(kText);
  const std::int64_t T = std::ssize(ids);
  page.number("maps.difference", COMPUTED(difference_from_engine(model, ids)),
              {.digits = 1,
               .formula = "the largest |logit of the engine - logit with the mask as a matrix|",
               .label = "largest difference",
               .engine = "attention_forward in ops/attention/attention.h",
               .print = Print::scientific});
  page.paragraph(
      "This GPT learned stories while this page was made. The engine's attention never stores a whole "
      "matrix; to look at one, the lesson computes the same model with small operations, and the mask as a "
      "matrix that is added (the largest difference between the logits is {maps.difference}). Each row of a "
      "map is one token, and its cells say how it shares its attention.");
  const auto masked = COMPUTED(maps_of(model, ids, Sees::past));
  const auto open = COMPUTED(maps_of(model, ids, Sees::everything));
  std::vector<std::string> words;
  for (const std::int32_t id : ids) words.push_back(word(id));
  page.alternatives("maps", "The four heads", [&] {
    for (std::size_t m = 0; m < masked.value.size(); ++m) {
      const auto heads = static_cast<std::size_t>(model.config().heads);
      page.step(str("Layer ", m / heads + 1, ", head ", m % heads + 1));
      page.add(Heat{.id = str("maps.masked.", m),
                    .title = "with the causal mask",
                    .rows = words,
                    .columns = words,
                    .values = masked.value[m]});
      page.add(Heat{.id = str("maps.open.", m),
                    .title = "the same weights without the mask",
                    .rows = words,
                    .columns = words,
                    .values = open.value[m]});
    }
  });
  page.number("maps.future.masked", COMPUTED(share_of_the_future(masked.value, T)),
              {.digits = 3,
               .formula = "mean attention on later tokens, with the mask",
               .label = "share of the future"});
  page.number("maps.future.open", COMPUTED(share_of_the_future(open.value, T)),
              {.digits = 3,
               .formula = "mean attention on later tokens, without the mask",
               .inputs = {"maps.future.masked"},
               .label = "share of the future without the mask"});
  page.number("maps.change.masked", COMPUTED(change_of_the_past(model, ids, Sees::past)),
              {.digits = 3,
               .formula = "the largest change of a logit in the first half of the text",
               .label = "change"});
  page.number("maps.change.open", COMPUTED(change_of_the_past(model, ids, Sees::everything)),
              {.digits = 3,
               .formula = "the same change without the mask",
               .inputs = {"maps.change.masked"},
               .label = "change without the mask"});
  page.paragraph(
      "With the mask, later tokens get {maps.future.masked} of the attention. Take it away, and they get "
      "{maps.future.open}. So with the mask, the past cannot depend on the future: exchange the last word, "
      "and the logits of the first half change by {maps.change.masked}, not by a single bit. Without it they "
      "change by {maps.change.open}.");
}

}  // namespace inkling
