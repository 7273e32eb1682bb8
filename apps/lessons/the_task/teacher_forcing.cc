// Lesson 1, teacher forcing beside free running: what a mistake costs when the model must live with it.
#include <algorithm>
#include <numeric>

#include "apps/lessons/story_run.h"
#include "apps/lessons/the_task/the_task.h"
#include "apps/page/markup.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "core/tape.h"
#include "nn/generate.h"
#include "ops/softmax.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::uint64_t kStoryStream = 1201, kDrawStream = 1202, kSlipStream = 1203;
constexpr std::int64_t kRows = 128, kT = 64;  // the stories of the measurement
constexpr std::int64_t kPrompt = 16, kShown = 24;
constexpr std::int64_t kSlip = 20, kAfterSlip = 40;

using Ids = std::vector<std::int32_t>;

std::int32_t likeliest(const std::vector<float>& logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

double probability(std::vector<float> logits, std::int32_t id) {
  Tape tape(Recording::off);
  const std::int64_t V = std::ssize(logits);
  return static_cast<double>(softmax(tape, Tensor(logits.data(), {1, V})).f32()[id]);
}

// Continues a prompt once for each Rng.
std::vector<Ids> free_running(GPT2& model, const Ids& prompt, float temperature, std::int64_t tokens,
                              std::vector<Rng> rngs) {
  std::vector<Ids> texts(rngs.size(), prompt);
  generate(model, prompt, {.max_tokens = tokens, .sampler = {.temperature = temperature}}, rngs,
           [&](std::int64_t text, std::int32_t id) {
             texts[static_cast<std::size_t>(text)].push_back(id);
             return true;
           });
  return texts;
}

// Whether the grammar can write this token after the first `t` tokens of a text.
bool may_follow(const Ids& text, std::int64_t t, std::int32_t token) {
  Ids ids(text.begin(), text.begin() + t);
  ids.push_back(token);
  return tokens_without_mistake(ids) == t + 1;
}

// A token of a text, in brackets if the grammar cannot write it.
std::string shown(std::int32_t id, bool possible) {
  const std::string text = quoted(story_tokenizer().token(id));
  return possible ? text : "[" + text + "]";
}

// ---- The mistakes of many texts ----

// For each position: the share of stories in which a token that is drawn after the true text is a mistake.
std::vector<double> mistakes_when_forced(GPT2& model, std::uint64_t seed) {
  Rng stories(seed, kStoryStream), draws(seed, kDrawStream);
  Sampler sampler({});
  std::vector<double> mistakes(kT, 0.0);
  for (std::int64_t row = 0; row < kRows; ++row) {
    const StoryRows story = story_rows(1, kT, stories);
    const auto logits = logits_after_each(model, story.ids);
    for (std::int64_t t = 0; t + 1 < kT; ++t) {
      const std::int32_t drawn = sampler.sample(logits[static_cast<std::size_t>(t)], draws);
      if (!may_follow(story.ids, t + 1, drawn)) mistakes[static_cast<std::size_t>(t + 1)] += 1.0 / kRows;
    }
  }
  return mistakes;
}

// For each position: the share of texts that the model writes alone and that have no mistake up to there.
std::vector<double> right_when_free(GPT2& model, std::uint64_t seed) {
  Rng seeds(seed, kDrawStream);
  std::vector<Rng> rngs;
  for (std::int64_t row = 0; row < kRows; ++row) rngs.emplace_back(seeds.next());
  std::vector<double> right(kT, 0.0);
  for (const Ids& text : free_running(model, {story_tokenizer().end_of_text()}, 1, kT - 1, rngs)) {
    const std::int64_t length = tokens_without_mistake(text);
    for (std::int64_t t = 0; t < length; ++t) right[static_cast<std::size_t>(t)] += 1.0 / kRows;
  }
  return right;
}

std::vector<double> products_of_right(const std::vector<double>& mistakes) {
  std::vector<double> products;
  double product = 1;
  for (const double mistake : mistakes) products.push_back(product *= 1 - mistake);
  return products;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The values from index `first` on, at x = 1, 2 ...
Series series_of(std::string name, const std::vector<double>& y, std::size_t first, Look look) {
  Series series{.name = std::move(name), .x = {}, .y = {}, .look = look};
  for (std::size_t i = first; i < y.size(); ++i) {
    series.add(static_cast<double>(i - first + 1), y[i]);
  }
  return series;
}

// ---- One wrong token in the input ----

// The mean loss at each distance after the token kSlip of a story: 0 is the prediction right after it. If
// `slip` is true, the input at kSlip is replaced by a random token. The targets stay the same.
std::vector<double> losses_after(GPT2& model, bool slip, std::uint64_t seed) {
  Rng stories(seed, kStoryStream), slips(seed, kSlipStream);
  StoryRows rows = story_rows(kRows, kT, stories);
  const auto V = static_cast<std::uint64_t>(model.config().vocab_size);
  if (slip) {
    for (std::int64_t row = 0; row < kRows; ++row)
      rows.ids[static_cast<std::size_t>(row * kT + kSlip)] = static_cast<std::int32_t>(slips.below(V));
  }
  std::vector<float> losses(rows.targets.size());
  Tape tape(Recording::off);
  model.token_losses(tape, rows.id_tensor(), rows.target_tensor(), losses.data());
  std::vector<double> means(kAfterSlip, 0.0);
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (std::int64_t d = 0; d < kAfterSlip; ++d)
      means[static_cast<std::size_t>(d)] +=
          static_cast<double>(losses[static_cast<std::size_t>(row * kT + kSlip + d)]) / kRows;
  }
  return means;
}

double mean_of_first(const std::vector<double>& values, std::int64_t n) {
  return mean({values.begin(), values.begin() + n});
}

void one_wrong_token(Page& page, GPT2& model, std::uint64_t seed) {
  page.heading("One wrong word in the input", 3);
  const auto clean = COMPUTED(losses_after(model, false, seed));
  const auto slipped = COMPUTED(losses_after(model, true, seed));
  const char* kLosses = "token_losses in nn/gpt2.cc";
  page.number(
      "slip.true.next", clean.at(0),
      {.digits = 2, .formula = "mean loss right after the token", .label = "loss", .engine = kLosses});
  page.number("slip.wrong.next", slipped.at(0),
              {.digits = 2,
               .formula = "mean loss right after a random token",
               .inputs = {"slip.true.next"},
               .label = "loss after a wrong token",
               .engine = kLosses});
  const Ref a = page.number("slip.true.mean", COMPUTED(mean_of_first(clean.value, kAfterSlip)),
                            {.digits = 3,
                             .formula = "mean loss of the next 40 tokens",
                             .inputs = {"slip.true.next"},
                             .label = "loss"});
  const Ref b = page.number("slip.wrong.mean", COMPUTED(mean_of_first(slipped.value, kAfterSlip)),
                            {.digits = 3,
                             .formula = "mean loss of the next 40 tokens",
                             .inputs = {"slip.wrong.next"},
                             .label = "loss after a wrong token"});
  page.number("slip.cost",
              COMPUTED((mean_of_first(slipped.value, kAfterSlip) - mean_of_first(clean.value, kAfterSlip)) *
                       kAfterSlip),
              {.digits = 1, .formula = "40 (wrong - true)", .inputs = {a, b}, .label = "nats"});
  page.paragraph(
      "What does a mistake do to later predictions? Token 20 of each story is replaced by a random one, and "
      "nothing else. The loss of the next word rises from {slip.true.next} to {slip.wrong.next}. Over the "
      "next 40 words the mean rises from {slip.true.mean} to {slip.wrong.mean}: one wrong word costs "
      "{slip.cost} nats more.");
  page.add(LineChart{.id = "slip.chart",
                     .title = "The loss after one wrong word",
                     .x_label = "words after it",
                     .y_label = "mean loss",
                     .series = {series_of("true input", clean.value, 0, Look::main),
                                series_of("one wrong word", slipped.value, 0, Look::wrong)},
                     .toggle_log_y = true});
}

}  // namespace

void teacher_forcing(Page& page, GPT2& model, const LessonSettings& settings) {
  page.heading("Teacher forcing beside free running");
  page.paragraph(
      "In training, the model always reads the true text, whatever it has guessed. This is *teacher "
      "forcing*. "
      "When it writes, nobody corrects it: it reads its own words. This is *free running*. Here both begin "
      "with the same story, and each time take the likeliest word. A word in brackets is one that the "
      "grammar of the stories cannot write there.");
  Rng rng(settings.seed, kStoryStream);
  const Ids story = story_rows(1, kT, rng).ids;
  const Ids prompt(story.begin(), story.begin() + kPrompt);
  page.paragraph("*" + verbatim(story_tokenizer().decode(std::span(prompt).subspan(1))) + "*");
  const auto logits = logits_after_each(model, story);
  const Ids free = free_running(model, prompt, 0, kShown, {Rng(0)})[0];
  const std::int64_t free_right = tokens_without_mistake(free);
  Table table{.caption = "", .columns = {"true word", "its $P$", "guess, forced", "own word, free"}};
  std::int64_t hits = 0, same = 0;
  for (std::int64_t t = kPrompt; t < kPrompt + kShown; ++t) {
    const auto at = static_cast<std::size_t>(t);
    const std::int32_t guess = likeliest(logits[at - 1]);
    hits += guess == story[at] ? 1 : 0;
    same += free[at] == story[at] ? 1 : 0;
    const Ref p = page.number(str("forced.p.", t), COMPUTED(probability(logits[at - 1], story[at])),
                              {.digits = 3,
                               .formula = "$P(word)$ after the true words before it",
                               .label = "P(" + story_tokenizer().token(story[at]) + ")",
                               .engine = "softmax_forward in ops/softmax_simd.h"});
    table.rows.push_back({quoted(story_tokenizer().token(story[at])), p,
                          shown(guess, may_follow(story, t, guess)), shown(free[at], t != free_right)});
  }
  page.add(table);
  page.given("forced.words", static_cast<double>(kShown),
             {.formula = "words of the table", .label = "words", .print = Print::count});
  page.number("forced.hits", COMPUTED(std::int64_t{hits}),
              {.formula = "guesses that are the true word",
               .inputs = {"forced.words"},
               .label = "right guesses",
               .print = Print::count});
  page.number("free.same", COMPUTED(std::int64_t{same}),
              {.formula = "own words that are the true word",
               .inputs = {"forced.words"},
               .label = "same words",
               .print = Print::count});
  page.paragraph(
      "With teacher forcing, {forced.hits} of {forced.words} guesses are the true word. Running free, the "
      "model has {free.same} words in common with the story at the same place: after the first other word it "
      "tells another story.");
}

void errors_compound(Page& page, GPT2& model, const LessonSettings& settings) {
  page.heading("Errors compound");
  page.given("compound.texts", static_cast<double>(kRows),
             {.formula = "stories, and texts", .label = "texts", .print = Print::count});
  const auto forced = COMPUTED(mistakes_when_forced(model, settings.seed));
  settings.progress("free running: many texts");
  const auto free = COMPUTED(right_when_free(model, settings.seed));
  const auto products = COMPUTED(products_of_right(forced.value));
  const Ref error =
      page.number("compound.error", COMPUTED(mean({forced.value.begin() + 1, forced.value.end()})),
                  {.digits = 3,
                   .formula = "words that the grammar cannot write / all words, after true text",
                   .inputs = {"compound.texts"},
                   .label = "mistakes for each word",
                   .engine = "sample in nn/sampler.cc"});
  page.paragraph(
      "Now each word is drawn by its probability. After true text, {compound.error} of the words that the "
      "model draws are mistakes. Teacher forcing forgives them at once. A text that the model writes alone "
      "is right only if every word is right, so its chance shrinks with each word.");
  Table table{.caption = "Share of texts without a mistake",
              .columns = {"words", "product of (1 - mistakes)", "free running"}};
  for (const std::int64_t n : {1, 10, 20, 30, 40, 50, 63}) {
    const Ref product =
        page.number(str("compound.product.", n), products.at(n),
                    {.digits = 3,
                     .formula = "the product of (1 - mistakes) up to this word, after true text",
                     .inputs = {error},
                     .label = "expected share"});
    table.rows.push_back({std::to_string(n), product,
                          page.number(str("compound.free.", n), free.at(n),
                                      {.digits = 3,
                                       .formula = "texts without a mistake up to this word / texts",
                                       .inputs = {"compound.texts"},
                                       .label = "share of right texts",
                                       .engine = "generate in nn/generate.cc"})});
  }
  std::vector<double> right = forced.value;
  for (double& mistake : right) mistake = 1 - mistake;
  page.add(LineChart{.id = "compound.chart",
                     .title = "Right words and right texts",
                     .x_label = "words",
                     .y_label = "share",
                     .series = {series_of("word right", right, 1, Look::second),
                                series_of("product", products.value, 1, Look::faint),
                                series_of("text right", free.value, 1, Look::main)},
                     .y_min = 0.0,
                     .y_max = 1.0});
  page.add(table);
  page.paragraph(
      "After 63 words, {compound.free.63} of the texts have no mistake; the product of the single shares is "
      "{compound.product.63}.");
  one_wrong_token(page, model, settings.seed);
}

}  // namespace inkling
