// Lesson 2: from the scores of a model to one number that says how wrong it is.
#include "apps/lessons/logits_to_loss/logits_to_loss.h"

#include <cmath>
#include <numeric>
#include <string>

#include "apps/page/embed.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "core/tape.h"
#include "ops/cross_entropy.h"
#include "ops/softmax.h"

EMBED_FILE(inkling_logits_to_loss_js, "apps/lessons/logits_to_loss/logits_to_loss.js");

namespace inkling {

using namespace page;

double loss_of(std::vector<float> logits, std::int32_t target) {
  Tape tape(Recording::off);
  const auto V = std::ssize(logits);
  return static_cast<double>(cross_entropy(tape, {logits.data(), {1, V}}, {&target, {1}}, V).item());
}

namespace {

constexpr const char* kJourney = "Step-by-step journey";

// The scores of the four predictions of "we love deep learning", for these words.
const std::vector<std::string> kWords = {"we", "love", "deep", "learning", "the", "hello", "is", "EOS"};
struct Prediction {
  const char *context, *target;
  std::int32_t target_index;
  std::vector<float> logits;
};
const std::vector<Prediction> kPredictions = {
    {"<BOS>", "we", 0, {2.1f, -0.5f, -1.2f, -2.0f, 3.2f, 2.8f, 1.5f, -10.0f}},
    {"we", "love", 1, {-3.0f, 2.8f, -0.5f, -1.5f, 1.2f, -5.0f, 2.1f, -8.0f}},
    {"we love", "deep", 2, {-5.0f, -4.0f, 1.9f, 0.8f, 0.5f, -6.0f, -2.0f, -7.0f}},
    {"we love deep", "learning", 3, {-6.0f, -5.0f, -4.0f, 3.5f, -2.0f, -8.0f, -3.0f, -6.0f}}};

std::vector<float> exponentials(const std::vector<float>& logits) {
  std::vector<float> e;
  for (const float z : logits) e.push_back(portable::exp(z));
  return e;
}

double sum(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}
double sum_of(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

// ---- 1. Softmax ----

// The numbers of the first prediction, in the order in which softmax computes them.
void softmax_numbers(Page& page) {
  std::vector<float> logits = kPredictions[0].logits;
  Tape tape(Recording::off);
  const auto e = COMPUTED(exponentials(logits));
  const auto total = COMPUTED(sum_of(e.value));
  const auto p = COMPUTED(softmax(tape, Tensor(logits.data(), {1, 8})));
  std::vector<Ref> all_e, all_p;
  for (std::int64_t i = 0; i < 8; ++i) {
    const std::string& word = kWords[static_cast<std::size_t>(i)];
    const float logit = logits[static_cast<std::size_t>(i)];
    const Ref z = page.given(
        "softmax.logit." + word, std::round(10.0 * static_cast<double>(logit)) / 10,
        {.digits = 1, .formula = "the score of this word, from the document", .label = "logit of " + word});
    all_e.push_back(page.number("softmax.exp." + word, e.at(i),
                                {.digits = 2, .formula = "$e^z$", .inputs = {z}, .label = "e^z of " + word}));
    all_p.push_back({"softmax.p." + word});
  }
  const Ref s =
      page.number("softmax.sum", total,
                  {.digits = 2, .formula = "the sum of all $e^z$", .inputs = all_e, .label = "sum of e^z"});
  for (std::int64_t i = 0; i < 8; ++i) {
    const std::string& word = kWords[static_cast<std::size_t>(i)];
    page.number("softmax.p." + word, p.at(i),
                {.formula = "$e^z / sum$",
                 .inputs = {"softmax.exp." + word, s},
                 .label = "P(" + word + ")",
                 .engine = kSoftmaxEngine});
  }
  std::vector<double> values(p.value.f32(), p.value.f32() + 8);
  page.number("softmax.p.sum", COMPUTED(sum(values)),
              {.digits = 6, .formula = "the sum of all probabilities", .inputs = all_p, .label = "sum of P"});
  page.number("softmax.loss", COMPUTED(loss_of(logits, 0)),
              {.formula = "$-log P(we)$",
               .inputs = {"softmax.p.we"},
               .label = "loss",
               .engine = kCrossEntropyEngine});
}

Table softmax_table(const std::vector<std::string>& kinds, const std::vector<std::string>& heads) {
  Table table{.caption = "", .columns = {"word"}, .highlighted = 0};
  table.columns.insert(table.columns.end(), heads.begin(), heads.end());
  for (const std::string& word : kWords) {
    std::vector<Cell> row = {word};
    for (const std::string& kind : kinds) row.push_back(Ref("softmax." + kind + "." + word));
    table.rows.push_back(row);
  }
  return table;
}

void from_logits_to_probabilities(Page& page) {
  softmax_numbers(page);
  page.heading("Scores become probabilities");
  page.paragraph(
      "A model ends with one score for each token that it knows, the *logit* $z$. A logit may be any number. "
      "Softmax makes all of them positive, then divides by their sum, so that they can be read as "
      "probabilities. Here the text has not begun, and the first word should be `we`.");
  page.formula("P_i = e^{z_i} / (e^{z_1} + e^{z_2} + … + e^{z_V})");
  page.steps("softmax.steps", "Softmax, one step at a time", [&] {
    page.step("1. The model's scores");
    page.add(softmax_table({"logit"}, {"$z$"}));
    page.step("2. Exponentials: nothing is negative now");
    page.add(softmax_table({"logit", "exp"}, {"$z$", "$e^z$"}));
    page.paragraph("A logit that is larger by 1 gives an exponential that is *e* = 2.718 times as large.");
    page.step("3. Their sum");
    page.add(softmax_table({"exp"}, {"$e^z$"}));
    page.paragraph("The sum is {softmax.sum}.");
    page.step("4. Each part of the sum");
    page.add(softmax_table({"exp", "p"}, {"$e^z$", "$P$"}));
    page.paragraph("The probabilities add up to {softmax.p.sum}.");
  });
  page.paragraph(
      "The target `we` gets {softmax.p.we}. The model prefers `the`, with {softmax.p.the}. The loss of this "
      "prediction is $-log$ {softmax.p.we} = {softmax.loss}.");
  page.add(Live{
      .id = "softmax.sliders",
      .title = "Change two of the scores",
      .model = "softmax",
      .sliders = {{"we", "logit of we", -4, 6, 0.1, 2.1, 1}, {"the", "logit of the", -4, 6, 0.1, 3.2, 1}},
      .data = {{"logits",
                {{"we", 2.1},
                 {"love", -0.5},
                 {"deep", -1.2},
                 {"learning", -2.0},
                 {"the", 3.2},
                 {"hello", 2.8},
                 {"is", 1.5},
                 {"EOS", -10.0}}}}});
  BarChart bars{
      .id = "softmax.bars", .title = "What the model expects as the first word", .x_label = "probability"};
  for (const std::string& word : kWords)
    bars.bars.push_back({word, "softmax.p." + word, word == "we" ? Look::second : Look::main});
  page.add(bars);
}

void corrections_of_softmax(Page& page) {
  std::vector<float> twelve = kPredictions[0].logits;
  twelve.resize(12, 0.0f);  // the words <BOS>, great, model and world, which have no scores in the document
  page.number("vocabulary.p.we", COMPUTED(portable::exp(-loss_of(twelve, 0))),
              {.formula = "$P(we)$ when the four missing words have the logit 0",
               .inputs = {"softmax.sum"},
               .label = "P(we) among 12 words",
               .engine = kCrossEntropyEngine});
  page.number("vocabulary.eos", COMPUTED(portable::exp(-loss_of(kPredictions[0].logits, 7))),
              {.digits = 1,
               .formula = "$e^{-10} / sum$",
               .inputs = {"softmax.sum"},
               .label = "P(EOS)",
               .engine = kCrossEntropyEngine,
               .print = Print::scientific});
  page.correction(std::string(kJourney) + ", the formula of the loss",
                  "the sum goes over the whole vocabulary, 12 words here. Its example sums over 8 words.",
                  "the other four words have no scores there. With a logit of 0 for each, P(we) falls from "
                  "{softmax.p.we} to {vocabulary.p.we}.");
  page.correction(
      std::string(kJourney) + ", summary", "the logit 2.1 becomes the probability 0.891, for `learning`.",
      "2.1 is the logit of `we`, and its probability is {softmax.p.we}. The logit of `learning` in its own "
      "step is 3.5, with {sequence.4.p}. A logit alone has no probability: it depends on the other logits.");
  page.correction(std::string(kJourney) + ", softmax",
                  "`<EOS>` is impossible: its probability is printed as 0.0000.",
                  "it is {vocabulary.eos}. Softmax never gives exactly 0 to a finite logit.");
  page.correction(
      "Layman's terms, softmax", "the relative differences between logits are kept in the probabilities.",
      "a *difference* of logits becomes a *ratio*: P(the) / P(we) = $e^{3.2 - 2.1}$ = {ratio.the.we}.");
}

// ---- 2. One prediction: how wrong is it? ----

void one_loss(Page& page, const std::string& name, double p, int digits, const std::string& label) {
  const Ref given = page.given(
      name + ".p", p, {.digits = 2, .formula = "a probability of the document", .label = "P(" + label + ")"});
  const auto logit = [](double probability) { return static_cast<float>(portable::log(probability)); };
  page.number(name + ".loss", COMPUTED(loss_of({logit(p), logit(1 - p)}, 0)),
              {.digits = digits,
               .formula = "$-log p$",
               .inputs = {given},
               .label = "loss",
               .engine = kCrossEntropyEngine});
}

void one_prediction(Page& page) {
  page.heading("One prediction costs -log p");
  page.paragraph(
      "Training text says which token came next. Only the probability of that token counts: the loss is its "
      "negative logarithm. For `The cat sat on the`, the next word is `mat`:");
  const std::vector<std::pair<std::string, double>> candidates = {
      {"mat", 0.78}, {"floor", 0.12}, {"chair", 0.05}, {"bed", 0.03}, {"wall", 0.02}};
  Table table{.caption = "Loss of each candidate, if it were the next word",
              .columns = {"candidate", "$p$", "$-log p$"},
              .highlighted = 0};
  for (const auto& [word, p] : candidates) {
    one_loss(page, "candidate." + word, p, 2, word);
    table.rows.push_back({word, Ref("candidate." + word + ".p"), Ref("candidate." + word + ".loss")});
  }
  page.add(table);
  one_loss(page, "candidate.sure", 0.99, 2, "mat");
  one_loss(page, "candidate.wrong", 0.01, 2, "mat");
  one_loss(page, "toy.cat", 0.6, 4, "cat");
  page.paragraph(
      "Had the model been surer of `mat`, at {candidate.sure.p}, it would have paid {candidate.sure.loss}. "
      "At {candidate.wrong.p} it would have paid {candidate.wrong.loss}. Another example: *cat* with "
      "{toy.cat.p} among cat, dog and bird costs {toy.cat.loss}, and `make` with 0.6 after `We are all "
      "humans born to` costs the same: the loss does not ask how the rest is shared out.");
}

// The example with three classes and two samples. The engine gets logits, here the logarithms of
// probabilities.
void two_samples(Page& page) {
  const char* kClasses[] = {"Cat", "Dog", "Bird"};
  const std::vector<std::vector<float>> probabilities = {{0.2f, 0.7f, 0.1f}, {0.1f, 0.8f, 0.1f}};
  const std::int32_t truth[] = {1, 0};
  Table table{.caption = "Two samples, three classes: logits, and the loss of the true class",
              .columns = {"sample", "Cat", "Dog", "Bird", "true class", "loss"}};
  for (std::size_t s = 0; s < 2; ++s) {
    const std::string sample = "samples." + std::to_string(s + 1);
    std::vector<float> logits;
    for (const float p : probabilities[s]) logits.push_back(portable::log(p));
    const auto z = COMPUTED(std::vector<float>(logits));
    std::vector<Cell> row = {std::to_string(s + 1)};
    for (std::int64_t c = 0; c < 3; ++c)
      row.push_back(page.number(sample + ".logit." + kClasses[c], z.at(c),
                                {.formula = "$log p$", .label = std::string("logit of ") + kClasses[c]}));
    row.push_back(kClasses[truth[s]]);
    row.push_back(
        page.number(sample + ".loss", COMPUTED(loss_of(logits, truth[s])),
                    {.formula = "$-log P(true class)$", .label = "loss", .engine = kCrossEntropyEngine}));
    table.rows.push_back(row);
  }
  page.add(table);
  page.paragraph(
      "Sample 1 is right with 0.7 and pays {samples.1.loss}. Sample 2 gave the true class 0.1 and pays "
      "{samples.2.loss}, more than six times as much. The second number is $-log 0.1 = log 10$.");
  page.correction("The learning signal, part 2", "logits are log probabilities.",
                  "log probabilities are one choice of logits. Softmax ignores a constant that is added to "
                  "all of them, so logits are log probabilities plus any constant.");
}

// ---- 3. A sequence ----

void sequence_numbers(Page& page) {
  std::vector<double> losses;
  std::vector<Ref> all;
  for (std::size_t i = 0; i < kPredictions.size(); ++i) {
    const Prediction& step = kPredictions[i];
    const std::string name = "sequence." + std::to_string(i + 1);
    Tape tape(Recording::off);
    std::vector<float> logits = step.logits;
    const auto p = COMPUTED(softmax(tape, Tensor(logits.data(), {1, 8})));
    page.number(name + ".p", p.at(step.target_index),
                {.digits = 3,
                 .formula = "$e^z / sum$ of the target",
                 .label = std::string("P(") + step.target + ")",
                 .engine = kSoftmaxEngine});
    const auto loss = COMPUTED(loss_of(logits, step.target_index));
    losses.push_back(loss.value);
    all.push_back(page.number(name + ".loss", loss,
                              {.digits = 3,
                               .formula = "$-log p$",
                               .inputs = {name + ".p"},
                               .label = std::string("loss of ") + step.target,
                               .engine = kCrossEntropyEngine}));
    page.number(name + ".loss5", loss,
                {.digits = 5,
                 .formula = "$-log p$",
                 .inputs = {name + ".p"},
                 .label = std::string("loss of ") + step.target,
                 .engine = kCrossEntropyEngine});
    page.number(name + ".loss4", loss,
                {.formula = "$-log p$",
                 .inputs = {name + ".p"},
                 .label = std::string("loss of ") + step.target,
                 .engine = kCrossEntropyEngine});
  }
  const auto total = COMPUTED(sum(losses));
  const Ref t = page.number(
      "sequence.total", total,
      {.digits = 3, .formula = "the sum of the four losses", .inputs = all, .label = "total loss"});
  const Ref mean = page.number("sequence.mean", COMPUTED(total.value / 4),
                               {.formula = "$total / 4$", .inputs = {t}, .label = "mean loss"});
  page.number("sequence.probability", COMPUTED(portable::exp(-total.value)),
              {.formula = "$e^{-total}$, the product of the four probabilities",
               .inputs = {t},
               .label = "P(we love deep learning)"});
  page.number("sequence.perplexity", COMPUTED(portable::exp(total.value / 4)),
              {.digits = 3, .formula = "$e^{mean}$", .inputs = {mean}, .label = "perplexity"});
  page.number("sequence.bits", COMPUTED(total.value / 4 / portable::log(2.0)),
              {.digits = 3, .formula = "$mean / log 2$", .inputs = {mean}, .label = "bits per word"});
  page.number("sequence.rounded", COMPUTED(-portable::log(0.149)),
              {.formula = "$-log 0.149$", .label = "-log 0.149"});
}

void a_sequence(Page& page) {
  page.heading("Four predictions: we love deep learning");
  page.paragraph(
      "A sentence is one prediction for each of its words. Each sees more of the sentence than the one "
      "before.");
  Table table{.caption = "", .columns = {"sees", "must predict", "$P$", "loss"}};
  for (std::size_t i = 0; i < kPredictions.size(); ++i) {
    const std::string name = "sequence." + std::to_string(i + 1);
    table.rows.push_back(
        {kPredictions[i].context, kPredictions[i].target, Ref(name + ".p"), Ref(name + ".loss")});
  }
  table.rows.push_back({"", "total", "", Ref("sequence.total")});
  table.rows.push_back({"", "mean", "", Ref("sequence.mean")});
  page.add(table);
  page.paragraph(
      "Training uses the mean, {sequence.mean} nats for each word. Its exponential is the *perplexity*, "
      "{sequence.perplexity}: the model was as unsure as if it had to guess among about two equally likely "
      "words each time. Divided by log 2, it is {sequence.bits} *bits* for each word. The sum has a meaning, "
      "too: $e^{-total}$ = {sequence.probability} is the probability of the whole sentence.");
  page.correction(std::string(kJourney) + ", two sections",
                  "the loss of `we` is 1.9013 in one section and 1.9038 in another.",
                  "it is {sequence.1.loss4}. 1.9038 is $-log 0.149$ = {sequence.rounded}: there, the "
                  "probability was rounded before the logarithm was taken.");
  page.correction(std::string(kJourney) + ", total loss",
                  "the loss of `deep` is 0.4725 in one section and 0.473 in another.",
                  "it is {sequence.3.loss5}, which is {sequence.3.loss4} with four digits and "
                  "{sequence.3.loss} with three. 0.473 comes from rounding twice.");
  page.correction(
      "Layman's terms, negative log probabilities",
      "cross-entropy is the average number of bits. It uses the natural logarithm.",
      "with the natural logarithm the unit is the nat. {sequence.mean} nats are {sequence.bits} bits.");
}

void write(Page& page, const LessonSettings& settings) {
  page.script(inkling_logits_to_loss_js());
  page.lede(
      "A model gives every token a score. Softmax turns the scores into probabilities. The loss is minus the "
      "logarithm of the probability of the token that really came next.");
  sequence_numbers(page);
  page.number("ratio.the.we", COMPUTED(portable::exp(3.2 - 2.1)),
              {.digits = 2,
               .formula = "$e^{3.2 - 2.1}$",
               .inputs = {"softmax.p.the", "softmax.p.we"},
               .label = "P(the) / P(we)"});
  from_logits_to_probabilities(page);
  corrections_of_softmax(page);
  one_prediction(page);
  two_samples(page);
  a_sequence(page);
  why_a_logarithm(page, settings);
  safe_softmax(page, settings);
  ruler_of_losses(page, settings);
}

}  // namespace

Lesson logits_to_loss() {
  return {2,
          "From logits to loss",
          "softmax, cross-entropy, perplexity, and what a loss is measured against",
          {{"no-logarithm", "train on 1 - p instead of -log p"},
           {"no-max-subtraction", "compute softmax without subtracting the largest logit"}},
          write};
}

}  // namespace inkling
