// Lesson 7: from the probabilities of a model to a text.
#include "apps/lessons/sampling/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/lessons/story_run.h"
#include "apps/page/embed.h"
#include "apps/page/markup.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "core/tape.h"
#include "ops/softmax.h"

EMBED_FILE(inkling_sampling_js, "apps/lessons/sampling/sampling.js");

namespace inkling {

using namespace page;

std::vector<double> shares(const std::vector<float>& logits, const SamplerSettings& settings) {
  std::vector<double> p(logits.size(), 0.0);
  Sampler sampler(settings);
  for (const Candidate& c : sampler.candidates(logits))
    p[static_cast<std::size_t>(c.id)] = static_cast<double>(c.probability);
  return p;
}

namespace {

constexpr const char* kPrompt = "Once there was a brave girl named Lily. One sunny morning, Lily and";
// How many of the likeliest tokens have a bar of their own.
constexpr int kBars = 16;  // her, the 14 names of friends, and the first token that is wrong here

const std::string& token(std::int32_t id) {
  return story_tokenizer().token(id);
}

NextToken after_prompt(GPT2& model) {
  NextToken next{model, story_prompt(kPrompt), {}, {}, {}};
  next.logits = logits_after_each(model, next.prompt).back();
  next.likeliest.resize(next.logits.size());
  std::iota(next.likeliest.begin(), next.likeliest.end(), 0);
  std::stable_sort(next.likeliest.begin(), next.likeliest.end(), [&](std::int32_t a, std::int32_t b) {
    return next.logits[static_cast<std::size_t>(a)] > next.logits[static_cast<std::size_t>(b)];
  });
  std::vector<std::int32_t> text = next.prompt;
  text.push_back(0);
  for (std::int32_t id = 0; id < std::ssize(next.logits); ++id) {
    text.back() = id;
    next.possible.push_back(tokens_without_mistake(text) == std::ssize(text));
  }
  return next;
}

// ---- What the numbers of one distribution say ----

double tokens_kept(const std::vector<double>& p) {
  return static_cast<double>(std::count_if(p.begin(), p.end(), [](double share) { return share > 0; }));
}

double entropy(const std::vector<double>& p) {
  double nats = 0;
  for (const double share : p) nats -= share > 0 ? share * portable::log(share) : 0;
  return nats;
}

double impossible_share(const std::vector<double>& p, const std::vector<bool>& possible) {
  double sum = 0;
  for (std::size_t id = 0; id < p.size(); ++id) sum += possible[id] ? 0 : p[id];
  return sum;
}

double share_without_bar(const std::vector<double>& p, const std::vector<std::int32_t>& likeliest) {
  double sum = 0;
  for (std::size_t rank = kBars; rank < likeliest.size(); ++rank)
    sum += p[static_cast<std::size_t>(likeliest[rank])];
  return sum;
}

// The numbers of one setting, under the names PREFIX.p.RANK, PREFIX.kept, PREFIX.choices, PREFIX.impossible.
void describe(Page& page, const std::string& prefix, const NextToken& next, const SamplerSettings& settings,
              const std::vector<Ref>& inputs, int ranks) {
  const auto p = COMPUTED(shares(next.logits, settings));
  for (int rank = 0; rank < ranks; ++rank) {
    const std::int32_t id = next.likeliest[static_cast<std::size_t>(rank)];
    page.number(str(prefix, ".p.", rank), p.at(id),
                {.formula = "$e^{z/T} / sum$ over the kept tokens",
                 .inputs = inputs,
                 .label = "P(" + token(id) + ")",
                 .engine = kSamplerEngine});
  }
  page.number(prefix + ".kept", COMPUTED(tokens_kept(p.value)),
              {.formula = "tokens that may be drawn",
               .inputs = inputs,
               .label = "kept",
               .engine = kSamplerEngine,
               .print = Print::count});
  page.number(prefix + ".choices", COMPUTED(portable::exp(entropy(p.value))),
              {.digits = 2,
               .formula = "$e^H$, $H$ = the sum of $-p log p$",
               .inputs = inputs,
               .label = "perplexity"});
  page.number(prefix + ".impossible", COMPUTED(impossible_share(p.value, next.possible)),
              {.formula = "the sum of $p$ over tokens that the grammar cannot write here",
               .inputs = inputs,
               .label = "P(a mistake)"});
}

// ---- 1. One distribution, under sliders ----

struct Setting {
  std::string name, label;
  SamplerSettings sampler;
};

const std::vector<Setting> kSettings = {
    {"greedy", "temperature 0 (greedy)", {.temperature = 0.0f}},
    {"t05", "temperature 0.5", {.temperature = 0.5f}},
    {"t1", "temperature 1", {.temperature = 1.0f}},
    {"t2", "temperature 2", {.temperature = 2.0f}},
    {"k5", "top-k 5", {.top_k = 5}},
    {"p90", "top-p 0.9", {.top_p = 0.9f}},
    {"m10", "min-p 0.1", {.min_p = 0.1f}},
    {"t2k5", "temperature 2, top-k 5", {.temperature = 2.0f, .top_k = 5}},
    {"t2p90", "temperature 2, top-p 0.9", {.temperature = 2.0f, .top_p = 0.9f}},
    {"t2m10", "temperature 2, min-p 0.1", {.temperature = 2.0f, .min_p = 0.1f}},
    {"t05k15p90", "temperature 0.5, top-k 15, top-p 0.9", {.temperature = 0.5f, .top_k = 15, .top_p = 0.9f}}};

nlohmann::ordered_json as_json(const SamplerSettings& s) {
  const auto number = [](float value) { return std::round(100.0 * static_cast<double>(value)) / 100; };
  return {{"temperature", number(s.temperature)},
          {"top_k", s.top_k},
          {"top_p", number(s.top_p)},
          {"min_p", number(s.min_p)}};
}

// What the page's script needs to compute the same numbers. It also computes the table of settings, so that
// the browser test compares the script with the engine at each of them.
nlohmann::ordered_json script_data(const NextToken& next) {
  nlohmann::ordered_json data = {{"bars", kBars},
                                 {"logits", nlohmann::json::array()},
                                 {"possible", nlohmann::json::array()},
                                 {"settings", nlohmann::ordered_json::object()}};
  for (const std::int32_t id : next.likeliest) {
    data["logits"].push_back(next.logits[static_cast<std::size_t>(id)]);
    data["possible"].push_back(next.possible[static_cast<std::size_t>(id)] ? 1 : 0);
  }
  for (const Setting& setting : kSettings) data["settings"][setting.name] = as_json(setting.sampler);
  return data;
}

void one_distribution(Page& page, const NextToken& next) {
  page.heading("One real distribution");
  page.paragraph("The model has learned stories for {run.steps} steps. Its prompt is:");
  page.paragraph("*" + verbatim(kPrompt) + "*");
  page.paragraph(
      "These are its probabilities for the next token, of {run.vocabulary}. The grammar that wrote the "
      "stories knows which tokens are possible here: `her`, as in *her mother*, and 14 names of animals. The "
      "model has learned this from examples, and almost completely: it puts {now.impossible} of the "
      "probability on tokens that would be a mistake.");
  const std::vector<Ref> sliders = {
      page.given("now.temperature", 1, {.digits = 2, .formula = "the slider", .label = "temperature"}),
      page.given("now.top_k", 0, {.formula = "the slider", .label = "top-k", .print = Print::count}),
      page.given("now.top_p", 1, {.digits = 2, .formula = "the slider", .label = "top-p"}),
      page.given("now.min_p", 0, {.digits = 2, .formula = "the slider", .label = "min-p"})};
  describe(page, "now", next, {}, sliders, kBars);
  const auto p = COMPUTED(shares(next.logits, {}));
  page.number("now.rest", COMPUTED(share_without_bar(p.value, next.likeliest)),
              {.formula = "the sum of the other probabilities", .inputs = sliders, .label = "P(all others)"});
  page.add(Live{.id = "sampler",
                .title = "The settings of the sampler",
                .model = "sampler",
                .sliders = {{"temperature", "temperature", 0, 3, 0.05, 1, 2},
                            {"top_k", "top-k (0 keeps all)", 0, 30, 1, 0, 0},
                            {"top_p", "top-p (1 keeps all)", 0.05, 1, 0.01, 1, 2},
                            {"min_p", "min-p (0 keeps all)", 0, 1, 0.01, 0, 2}},
                .data = script_data(next)});
  BarChart chart{.id = "sampler.bars", .title = "The next token", .x_label = "probability"};
  for (int rank = 0; rank < kBars; ++rank) {
    const std::int32_t id = next.likeliest[static_cast<std::size_t>(rank)];
    const bool possible = next.possible[static_cast<std::size_t>(id)];
    chart.bars.push_back({token(id) + (possible ? "" : " (a mistake)"), str("now.p.", rank),
                          possible ? Look::main : Look::wrong});
  }
  chart.bars.push_back({"all others", "now.rest", Look::faint});
  page.add(chart);
  page.paragraph(
      "With these settings, {now.kept} tokens may be drawn. The choice is as open as one among {now.choices} "
      "equally likely tokens, and {now.impossible} of the draws are mistakes.");
}

// ---- 2. Temperature ----

// The perplexity at a temperature that divides the probabilities, not the logits: --break.
double choices_if_divided_after_softmax(std::vector<float> logits, double temperature) {
  Tape tape(Recording::off);
  const std::int64_t V = std::ssize(logits);
  const Tensor p = softmax(tape, Tensor(logits.data(), {1, V}));
  std::vector<double> divided;
  for (std::int64_t i = 0; i < V; ++i) divided.push_back(static_cast<double>(p.f32()[i]) / temperature);
  const double sum = std::accumulate(divided.begin(), divided.end(), 0.0);
  for (double& share : divided) share /= sum;
  return portable::exp(entropy(divided));
}

void temperature(Page& page, const NextToken& next, bool broken) {
  page.heading("Temperature: how much the scores count");
  page.formula("P_i = e^{z_i / T} / (e^{z_1 / T} + … + e^{z_V / T})");
  page.paragraph(
      "The temperature $T$ divides every logit before softmax. Below 1, differences between scores grow, and "
      "likely tokens become still more likely. Above 1 they shrink, and all tokens become more equal. At 0 "
      "the likeliest token always wins: *greedy* decoding.");
  LineChart chart{.id = "temperature.chart",
                  .title = "How open the choice is",
                  .x_label = "temperature",
                  .y_label = "perplexity of the next token",
                  .y_min = 0.0};
  Series right{.name = "logits / T", .x = {}, .y = {}, .look = Look::main},
      wrong{.name = "probabilities / T", .x = {}, .y = {}, .look = Look::wrong};
  for (int step = 1; step <= 30; ++step) {
    const float T = 0.1f * static_cast<float>(step);
    right.x.push_back(0.1 * step);
    wrong.x.push_back(0.1 * step);
    right.y.push_back(portable::exp(entropy(shares(next.logits, {.temperature = T}))));
    wrong.y.push_back(choices_if_divided_after_softmax(next.logits, 0.1 * step));
  }
  chart.series.push_back(right);
  if (broken) {
    chart.series.push_back(wrong);
    page.number("temperature.broken.choices", COMPUTED(choices_if_divided_after_softmax(next.logits, 2.0)),
                {.digits = 2,
                 .formula = "$e^H$ of $(P_i / 2) / sum$",
                 .inputs = {"now.choices"},
                 .label = "perplexity, divided after softmax"});
  }
  page.add(chart);
  page.paragraph(
      "At temperature 2 the choice is one among {set.t2.choices}, at 0.5 one among {set.t05.choices}. " +
      std::string(broken ? "If the probabilities are divided by $T$ instead of the logits, the sum divides "
                           "by $T$, too, and nothing changes: {temperature.broken.choices} at temperature 2."
                         : "`--break=temperature-after-softmax` divides the probabilities instead."));
}

// ---- 3. Cutting off the tail ----

void settings_table(Page& page, const NextToken& next) {
  Table table{.caption = "The same distribution under different settings",
              .columns = {"settings", "kept", "P of rank 1", "P of rank 2", "perplexity", "mistakes"}};
  for (const Setting& setting : kSettings) {
    const std::string name = "set." + setting.name;
    describe(page, name, next, setting.sampler, {"now.p.0", "now.p.1"}, 2);
    table.rows.push_back({setting.label, Ref(name + ".kept"), Ref(name + ".p.0"), Ref(name + ".p.1"),
                          Ref(name + ".choices"), Ref(name + ".impossible")});
  }
  page.add(table);
}

void cutting_the_tail(Page& page, const NextToken& next) {
  page.heading("Cutting off the tail: top-k, top-p, min-p");
  page.paragraph(
      "Hundreds of tokens have a tiny probability each. Together they are a mistake that will happen sooner "
      "or later. Three rules cut them off. What is left is divided by its sum, so that it is a distribution "
      "again.");
  page.list({"*top-k* keeps the $k$ likeliest tokens.",
             "*top-p* keeps the fewest likeliest tokens that have at least $p$ of the probability together.",
             "*min-p* keeps the tokens that are at least $m$ times as likely as the likeliest one."});
  settings_table(page, next);
  page.paragraph(
      "Temperature 2 alone makes {set.t2.impossible} of the draws mistakes. With min-p 0.1 it is "
      "{set.t2m10.impossible}. top-k 5 is strict, but it also cuts off right tokens: it keeps {set.k5.kept}, "
      "and 15 are possible.");
}

void sure_and_unsure(Page& page, const NextToken& next) {
  page.heading("Sure and unsure places", 3);
  page.paragraph(
      "top-k keeps the same number everywhere. The other two rules look at the distribution: they keep one "
      "token where the model is sure, and many where it is not. Here is the prompt, token by token.");
  const std::vector<std::vector<float>> logits = logits_after_each(next.model, next.prompt);
  Table table{.caption = "", .columns = {"after", "P of rank 1", "top-k 5", "top-p 0.9", "min-p 0.1"}};
  for (std::size_t t = 0; t < logits.size(); ++t) {
    const std::string name = str("place.", t);
    const About kept{.formula = "tokens that may be drawn",
                     .inputs = {name + ".p"},
                     .label = "kept",
                     .engine = kSamplerEngine,
                     .print = Print::count};
    const auto p = COMPUTED(shares(logits[t], {}));
    const Ref best = page.number(name + ".p", p.of(*std::max_element(p.value.begin(), p.value.end())),
                                 {.digits = 3,
                                  .formula = "the largest probability",
                                  .label = "P of rank 1",
                                  .engine = kSamplerEngine});
    table.rows.push_back(
        {token(next.prompt[t]), best,
         page.number(name + ".k", COMPUTED(tokens_kept(shares(logits[t], {.top_k = 5}))), kept),
         page.number(name + ".top_p", COMPUTED(tokens_kept(shares(logits[t], {.top_p = 0.9f}))), kept),
         page.number(name + ".min_p", COMPUTED(tokens_kept(shares(logits[t], {.min_p = 0.1f}))), kept)});
  }
  page.add(table);
}

void write(Page& page, const LessonSettings& settings) {
  page.script(inkling_sampling_js());
  page.lede(
      "A model gives probabilities, not text. A sampler draws one token from them, and its settings decide "
      "whether the text is safe and dull, or varied and wrong.");
  const StoryRun run{.steps = 1000, .seed = settings.seed};
  GPT2 model = train_on_stories(run, [&](std::int64_t step, double, GPT2&) {
    if (step % 10 == 0) settings.progress(str("training a small model: step ", step, " of ", run.steps));
  });
  settings.progress("sampling");
  const NextToken next = after_prompt(model);
  page.given("run.steps", static_cast<double>(run.steps),
             {.formula = "steps of training", .label = "steps", .print = Print::count});
  page.given("run.vocabulary", static_cast<double>(next.logits.size()),
             {.formula = "the tokens of the stories", .label = "V", .print = Print::count});
  one_distribution(page, next);
  temperature(page, next, settings.breaks("temperature-after-softmax"));
  cutting_the_tail(page, next);
  sure_and_unsure(page, next);
  draws(page, next, settings);
  continuations(page, next, settings);
  quality_and_variety(page, next, settings);
}

}  // namespace

Lesson sampling() {
  return {7,
          "Sampling",
          "temperature, top-k, top-p and min-p on the distribution of a trained model",
          {{"temperature-after-softmax", "divide the probabilities by the temperature, not the logits"},
           {"no-renormalisation", "draw from the kept tokens without dividing by their sum"}},
          write};
}

}  // namespace inkling
