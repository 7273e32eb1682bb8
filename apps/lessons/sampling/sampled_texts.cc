// Lesson 7, drawing: one token, many tokens, texts, and how good and how varied texts are.
#include <algorithm>
#include <numeric>
#include <set>

#include "apps/lessons/sampling/sampling.h"
#include "apps/lessons/story_run.h"
#include "apps/page/markup.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "nn/generate.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::uint64_t kDrawStream = 7001, kTextStream = 7002;
constexpr std::int64_t kNewTokens = 40;
constexpr int kDraws = 10000, kKept = 5, kMeasuredTexts = 48, kBeginning = 4;

// ---- Drawing one token ----

std::vector<double> running_sums(const std::vector<double>& p, const std::vector<std::int32_t>& likeliest) {
  std::vector<double> sums;
  double sum = 0;
  for (int rank = 0; rank < kKept; ++rank)
    sums.push_back(sum += p[static_cast<std::size_t>(likeliest[static_cast<std::size_t>(rank)])]);
  return sums;
}

std::int64_t rank_of(std::int32_t id, const std::vector<std::int32_t>& likeliest) {
  return std::find(likeliest.begin(), likeliest.end(), id) - likeliest.begin();
}

std::int64_t rank_drawn(const NextToken& next, Rng rng) {
  return rank_of(Sampler({.top_k = kKept}).sample(next.logits, rng), next.likeliest);
}

void one_draw(Page& page, const NextToken& next, std::uint64_t seed) {
  page.paragraph(
      "To draw a token, the sampler takes a random number $u$ from 0 to 1, and goes through the kept tokens "
      "until the sum of their probabilities is more than $u$. Here top-k 5 is on:");
  const auto p = COMPUTED(shares(next.logits, {.top_k = kKept}));
  const auto sums = COMPUTED(running_sums(p.value, next.likeliest));
  const Ref u = page.number("draw.u", COMPUTED(Rng(seed, kDrawStream).uniform()),
                            {.formula = "the next random number of a stream", .label = "u"});
  const auto drawn = COMPUTED(rank_drawn(next, Rng(seed, kDrawStream)));
  Table table{.caption = "", .columns = {"token", "$P$", "sum so far"}};
  for (int rank = 0; rank < kKept; ++rank) {
    const std::int32_t id = next.likeliest[static_cast<std::size_t>(rank)];
    const Ref share = page.number(str("draw.p.", rank), p.at(id),
                                  {.formula = "$e^z / sum$ over the kept tokens",
                                   .inputs = {str("now.p.", rank)},
                                   .label = "P",
                                   .engine = kSamplerEngine});
    table.rows.push_back(
        {story_tokenizer().token(id), share,
         page.number(str("draw.sum.", rank), sums.at(rank),
                     {.formula = "the sum of $P$ down to here", .inputs = {share}, .label = "sum so far"})});
  }
  table.highlighted = static_cast<int>(drawn.value);
  page.add(table);
  page.number("draw.rank", drawn.of(static_cast<double>(drawn.value + 1)),
              {.formula = "the first rank whose sum is more than $u$",
               .inputs = {u},
               .label = "rank",
               .engine = "sample in nn/sampler.cc",
               .print = Print::count});
  const std::int32_t id = next.likeliest[static_cast<std::size_t>(drawn.value)];
  page.paragraph("The random number is {draw.u}, so the token of rank {draw.rank} is drawn:" +
                 verbatim(story_tokenizer().token(id)) + ".");
}

// ---- Drawing many tokens ----

// How often each rank is drawn.
std::vector<double> drawn_shares(const NextToken& next, std::uint64_t seed) {
  Sampler sampler({.top_k = kKept});
  Rng rng(seed, kDrawStream);
  std::vector<double> counts(next.likeliest.size(), 0.0);
  for (int i = 0; i < kDraws; ++i) {
    const std::int32_t id = sampler.sample(next.logits, rng);
    counts[static_cast<std::size_t>(rank_of(id, next.likeliest))] += 1.0 / kDraws;
  }
  return counts;
}

// --break=no-renormalisation: the kept tokens have their old probabilities, which do not sum to 1. The last
// kept token is drawn whenever u is larger than their sum.
std::vector<double> drawn_without_renormalisation(const NextToken& next, std::uint64_t seed) {
  const std::vector<double> sums = running_sums(shares(next.logits, {}), next.likeliest);
  Rng rng(seed, kDrawStream);
  std::vector<double> counts(next.likeliest.size(), 0.0);
  for (int i = 0; i < kDraws; ++i) {
    const auto rank = std::upper_bound(sums.begin(), sums.end() - 1, rng.uniform()) - sums.begin();
    counts[static_cast<std::size_t>(rank)] += 1.0 / kDraws;
  }
  return counts;
}

Series by_rank(std::string name, const std::vector<double>& shares, Look look) {
  Series series{.name = std::move(name), .x = {}, .y = {}, .look = look};
  for (int rank = 0; rank < kKept + 3; ++rank) {
    series.add(rank + 1, shares[static_cast<std::size_t>(rank)]);
  }
  return series;
}

void many_draws(Page& page, const NextToken& next, const LessonSettings& settings) {
  const auto right = COMPUTED(drawn_shares(next, settings.seed));
  LineChart chart{.id = "draw.chart",
                  .title = "10,000 draws with top-k 5",
                  .x_label = "rank of the token",
                  .y_label = "share of the draws",
                  .series = {by_rank("drawn", right.value, Look::main)},
                  .dots = true,
                  .y_min = 0.0};
  for (int rank = 0; rank < kKept; ++rank) {
    page.number(str("draw.share.", rank), right.at(rank),
                {.digits = 3,
                 .formula = "draws of this token / 10000",
                 .inputs = {str("draw.p.", rank)},
                 .label = "share of the draws",
                 .engine = "sample in nn/sampler.cc"});
  }
  std::string text =
      "Over 10,000 draws, the first token comes in {draw.share.0} of them; its probability is {draw.p.0}. ";
  if (settings.breaks("no-renormalisation")) {
    const auto wrong = COMPUTED(drawn_without_renormalisation(next, settings.seed));
    chart.series.push_back(by_rank("drawn without dividing by the sum", wrong.value, Look::wrong));
    page.number("draw.broken.share", wrong.at(kKept - 1),
                {.digits = 3,
                 .formula = "draws of rank 5 / 10000",
                 .inputs = {"draw.share.4"},
                 .label = "share of rank 5, without dividing"});
    text +=
        "Without dividing by the sum of the kept probabilities, the last kept token gets all that was cut "
        "off: it comes in {draw.broken.share} of the draws instead of {draw.share.4}.";
  } else {
    text += "`--break=no-renormalisation` does not divide by the sum of the kept probabilities.";
  }
  page.add(chart);
  page.paragraph(text);
}

// ---- Texts ----

// Continues the prompt `count` times. A text that the model has ended has an end-of-text at its end.
std::vector<std::vector<std::int32_t>> continued(const NextToken& next, const SamplerSettings& sampler,
                                                 int count, std::uint64_t seed) {
  std::vector<std::vector<std::int32_t>> texts(static_cast<std::size_t>(count), next.prompt);
  Rng seeds(seed, kTextStream);
  std::vector<Rng> rngs;
  for (int i = 0; i < count; ++i) rngs.emplace_back(seeds.next());
  generate(next.model, next.prompt, {.max_tokens = kNewTokens, .sampler = sampler}, rngs,
           [&](std::int64_t text, std::int32_t id) {
             texts[static_cast<std::size_t>(text)].push_back(id);
             return id != story_tokenizer().end_of_text();
           });
  return texts;
}

struct Way {
  std::string name, label;
  SamplerSettings sampler;
};

void one_way(Page& page, const NextToken& next, const Way& way, std::uint64_t seed) {
  page.step(way.label);
  const auto texts = continued(next, way.sampler, 3, seed);
  std::vector<std::string> items;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const Ref right = page.number(str("text.", way.name, ".", i + 1),
                                  COMPUTED(tokens_without_mistake(texts[i]) - std::ssize(next.prompt)),
                                  {.formula = "new tokens before the first one that the grammar cannot write",
                                   .label = "tokens",
                                   .print = Print::count});
    page.number(right.name + ".length", COMPUTED(std::ssize(texts[i]) - std::ssize(next.prompt)),
                {.formula = "new tokens",
                 .inputs = {right},
                 .label = "tokens",
                 .engine = "generate in nn/generate.cc",
                 .print = Print::count});
    items.push_back(marked_story(texts[i], std::ssize(next.prompt)) + " ({" + right.name + "} of {" +
                    right.name + ".length})");
  }
  page.list(items);
}

// ---- Quality and variety ----

struct Measured {
  double right;      // the mean number of new tokens before the first mistake
  double different;  // different beginnings / texts
};

Measured measured(const NextToken& next, const SamplerSettings& sampler, std::uint64_t seed) {
  const auto texts = continued(next, sampler, kMeasuredTexts, seed);
  const std::int64_t begin = std::ssize(next.prompt);
  double right = 0;
  std::set<std::vector<std::int32_t>> beginnings;
  for (const auto& text : texts) {
    right += static_cast<double>(tokens_without_mistake(text) - begin);
    beginnings.insert({text.begin() + begin, text.begin() + begin + kBeginning});
  }
  return {right / kMeasuredTexts, static_cast<double>(beginnings.size()) / kMeasuredTexts};
}

}  // namespace

void draws(Page& page, const NextToken& next, const LessonSettings& settings) {
  page.heading("Drawing a token");
  one_draw(page, next, settings.seed);
  many_draws(page, next, settings);
}

void continuations(Page& page, const NextToken& next, const LessonSettings& settings) {
  page.heading("The same prompt, continued");
  page.paragraph(
      "Each token that is drawn becomes part of the text, and the model reads it before it predicts the next "
      "one. Three texts for each setting follow, with the same random numbers. The first word that the "
      "grammar of the stories cannot write is in brackets, and the numbers count the tokens before it, and "
      "all new tokens.");
  const std::vector<Way> ways = {{"t0", "T = 0", {.temperature = 0.0f}},
                                 {"t05", "T = 0.5", {.temperature = 0.5f}},
                                 {"t1", "T = 1", {.temperature = 1.0f}},
                                 {"t15", "T = 1.5", {.temperature = 1.5f}},
                                 {"t2", "T = 2", {.temperature = 2.0f}},
                                 {"t2p90", "T = 2, top-p 0.9", {.temperature = 2.0f, .top_p = 0.9f}},
                                 {"t2m10", "T = 2, min-p 0.1", {.temperature = 2.0f, .min_p = 0.1f}}};
  page.alternatives("texts", "Settings of the sampler", [&] {
    for (const Way& way : ways) one_way(page, next, way, settings.seed);
  });
}

void quality_and_variety(Page& page, const NextToken& next, const LessonSettings& settings) {
  page.heading("Right, or different?");
  page.given("quality.texts", kMeasuredTexts,
             {.formula = "texts for each setting", .label = "texts", .print = Print::count});
  page.given("quality.tokens", static_cast<double>(kNewTokens),
             {.formula = "the new tokens of a text", .label = "tokens", .print = Print::count});
  page.given("quality.beginning", kBeginning,
             {.formula = "the new tokens of a beginning", .label = "tokens", .print = Print::count});
  page.paragraph(
      "The grammar can say where a text has its first mistake. For each setting, {quality.texts} texts of "
      "{quality.tokens} tokens were drawn. How far do they go without a mistake, and how many of their "
      "beginnings of {quality.beginning} tokens are different?");
  const std::vector<Way> cuts = {
      {"none", "no cut", {}}, {"p90", "top-p 0.9", {.top_p = 0.9f}}, {"m10", "min-p 0.1", {.min_p = 0.1f}}};
  const Look looks[] = {Look::main, Look::second, Look::third};
  LineChart right{.id = "quality.chart",
                  .title = "Tokens before the first mistake",
                  .x_label = "temperature",
                  .y_label = "tokens",
                  .dots = true,
                  .y_min = 0.0};
  LineChart different{.id = "variety.chart",
                      .title = "Different beginnings",
                      .x_label = "temperature",
                      .y_label = "share of the texts",
                      .dots = true,
                      .y_min = 0.0,
                      .y_max = 1.0};
  Table table{.caption = "",
              .columns = {"temperature", "tokens, no cut", "top-p 0.9", "min-p 0.1", "different, no cut",
                          "top-p 0.9", "min-p 0.1"}};
  for (std::size_t c = 0; c < cuts.size(); ++c) {
    right.series.push_back({.name = cuts[c].label, .x = {}, .y = {}, .look = looks[c]});
    different.series.push_back(right.series.back());
  }
  for (const int percent : {10, 50, 75, 100, 125, 150, 200}) {
    settings.progress(str("texts at temperature ", percent / 100.0));
    std::vector<Cell> row = {printed(percent / 100.0, {.digits = 2})}, last;
    for (std::size_t c = 0; c < cuts.size(); ++c) {
      SamplerSettings sampler = cuts[c].sampler;
      sampler.temperature = static_cast<float>(percent) / 100;
      const auto m = COMPUTED(measured(next, sampler, settings.seed));
      const std::string name = str(cuts[c].name, ".t", percent);
      const std::vector<Ref> inputs = {"quality.texts", "quality.tokens"};
      row.push_back(page.number("right." + name, m.of(m.value.right),
                                {.digits = 1,
                                 .formula = "the mean of tokens before the first mistake",
                                 .inputs = inputs,
                                 .label = "tokens before the first mistake",
                                 .engine = "generate in nn/generate.cc"}));
      last.push_back(page.number("different." + name, m.of(m.value.different),
                                 {.digits = 2,
                                  .formula = "different beginnings / texts",
                                  .inputs = inputs,
                                  .label = "different beginnings",
                                  .engine = "generate in nn/generate.cc"}));
      right.series[c].add(percent / 100.0, m.value.right);
      different.series[c].add(percent / 100.0, m.value.different);
    }
    row.insert(row.end(), last.begin(), last.end());
    table.rows.push_back(row);
  }
  page.add(right);
  page.add(different);
  page.add(table);
  page.paragraph(
      "At temperature 1 a text goes {right.none.t100} tokens without a mistake, and at temperature 2 only "
      "{right.none.t200}. With min-p 0.1 the numbers are {right.m10.t100} and {right.m10.t200}. A low "
      "temperature makes the texts alike: at 0.1 only {different.none.t10} of the beginnings are different. "
      "It does not mend what the model has not learned, such as which thing was lost.");
}

}  // namespace inkling
