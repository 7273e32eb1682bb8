// Lesson 6, the documents' sentence: their simulated training beside a real one, from random weights.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <string>

#include "apps/lessons/sentence.h"
#include "apps/lessons/training_loop/training_loop.h"
#include "core/error.h"
#include "core/portable_math.h"

namespace inkling {

using namespace page;

namespace {

constexpr const char* kLossEngine = "loss in nn/gpt2.cc";
constexpr const char* kSoftmaxEngine = "softmax_forward in ops/softmax_simd.h";
constexpr double kRate = 0.01;  // the documents' learning rate
constexpr std::int64_t kIterations = 5000;

// ---- What the documents print ----

struct Simulated {
  std::int64_t iteration;
  std::array<double, 4> p, loss;  // of the words we, love, deep, learning
  double listed;                  // the total loss in their list "detailed loss progression"
};
const std::array<Simulated, 7> kSimulated = {{
    {0, {0.149, 0.571, 0.623, 0.994}, {1.901, 0.561, 0.473, 0.006}, 2.940},
    {50, {0.267, 0.702, 0.731, 0.997}, {1.321, 0.355, 0.313, 0.003}, 1.992},
    {200, {0.456, 0.823, 0.847, 0.999}, {0.785, 0.194, 0.166, 0.001}, 1.145},
    {500, {0.634, 0.901, 0.923, 0.999}, {0.455, 0.104, 0.080, 0.001}, 0.686},
    {1000, {0.789, 0.945, 0.967, 1.000}, {0.237, 0.057, 0.033, 0.000}, 0.327},
    {2000, {0.892, 0.976, 0.989, 1.000}, {0.115, 0.024, 0.011, 0.000}, 0.150},
    {5000, {0.956, 0.993, 0.998, 1.000}, {0.045, 0.007, 0.002, 0.000}, 0.054},
}};

struct Guess {
  std::string word;
  double p;
};
struct SimulatedSnapshot {
  std::int64_t iteration;
  std::array<Guess, 5> top;  // after <BOS>
};
const std::array<SimulatedSnapshot, 4> kSnapshots = {{
    {0, {{{"the", 0.449}, {"hello", 0.301}, {"we", 0.149}, {"is", 0.082}, {"love", 0.011}}}},
    {200, {{{"we", 0.456}, {"the", 0.312}, {"hello", 0.156}, {"is", 0.048}, {"love", 0.028}}}},
    {1000, {{{"we", 0.789}, {"the", 0.134}, {"hello", 0.045}, {"is", 0.021}, {"love", 0.011}}}},
    {5000, {{{"we", 0.956}, {"the", 0.032}, {"hello", 0.008}, {"is", 0.003}, {"love", 0.001}}}},
}};

std::string target_word(std::size_t place) {
  return kSentenceWords[place + 1];
}

// ---- The real run ----

struct SentenceRun {
  std::map<std::int64_t, WordProbabilities> at;  // by iteration, for the iterations in the documents
  std::vector<double> iterations, totals;        // the curve
};

// The sum of -log P over the four targets.
double total_loss(const WordProbabilities& p, const Sentence& sentence) {
  double total = 0;
  for (std::size_t t = 0; t < 4; ++t)
    total -= portable::log(p[t][static_cast<std::size_t>(sentence.targets[t])]);
  return total;
}

SentenceRun train_sentence(std::uint64_t seed, bool reset_gradients) {
  Sentence sentence;
  GPT2 model = sentence_model(seed);
  SentenceRun run;
  const LoopSettings loop{.lr = kRate, .iterations = kIterations, .reset_gradients = reset_gradients};
  run_loop(model, sentence.batch(), loop, [&](std::int64_t done) {
    const bool in_table = std::any_of(kSimulated.begin(), kSimulated.end(),
                                      [&](const Simulated& s) { return s.iteration == done; });
    if (!in_table && done % 25 != 0) return;
    const WordProbabilities p = word_probabilities(model, sentence.ids);
    run.iterations.push_back(static_cast<double>(done));
    run.totals.push_back(total_loss(p, sentence));
    if (in_table) run.at[done] = p;
  });
  return run;
}

// The four targets' probabilities at an iteration.
std::vector<double> of_targets(const SentenceRun& run, std::int64_t iteration) {
  std::vector<double> p;
  for (std::size_t t = 0; t < 4; ++t) p.push_back(run.at.at(iteration)[t][t + 1]);
  return p;
}

double total_at(const SentenceRun& run, std::int64_t iteration) {
  const auto found = std::find(run.iterations.begin(), run.iterations.end(), static_cast<double>(iteration));
  return run.totals[static_cast<std::size_t>(found - run.iterations.begin())];
}

// ---- The table: simulated and real ----

void simulated_row(Page& page, Table& table, const Simulated& row) {
  std::vector<Cell> cells = {std::to_string(row.iteration), "simulated"};
  std::vector<Ref> losses;
  for (std::size_t w = 0; w < 4; ++w) {
    const std::string place = str(target_word(w), ".", row.iteration);
    cells.push_back(page.given("document.p." + place, row.p[w],
                               {.digits = 3,
                                .formula = "the document's simulated probability",
                                .label = "simulated P(" + target_word(w) + ")"}));
    losses.push_back(page.given(
        "document.loss." + place, row.loss[w],
        {.digits = 3, .formula = "the document's loss", .label = "simulated loss of " + target_word(w)}));
  }
  cells.push_back(page.number(str("document.total.", row.iteration),
                              COMPUTED(std::accumulate(row.loss.begin(), row.loss.end(), 0.0)),
                              {.digits = 3,
                               .formula = "the sum of the document's four losses",
                               .inputs = losses,
                               .label = "simulated total loss"}));
  page.given(str("document.listed.", row.iteration), row.listed,
             {.digits = 3, .formula = "the total in the document's list", .label = "listed total loss"});
  table.rows.push_back(cells);
}

void real_row(Page& page, Table& table, const SentenceRun& run, std::int64_t iteration) {
  std::vector<Cell> cells = {std::to_string(iteration), "real"};
  const auto p = COMPUTED(of_targets(run, iteration));
  std::vector<Ref> inputs;
  for (std::size_t w = 0; w < 4; ++w) {
    inputs.push_back(page.number(str("run.p.", target_word(w), ".", iteration),
                                 p.at(static_cast<std::int64_t>(w)),
                                 {.digits = 3,
                                  .formula = "$e^z / sum$ of the model's logits",
                                  .label = "P(" + target_word(w) + ")",
                                  .engine = kSoftmaxEngine}));
    cells.push_back(inputs.back());
  }
  cells.push_back(page.number(str("run.total.", iteration), COMPUTED(total_at(run, iteration)),
                              {.digits = 3,
                               .formula = "the sum of $-log P$ of the four words",
                               .inputs = inputs,
                               .label = "total loss",
                               .engine = kLossEngine}));
  table.rows.push_back(cells);
}

// The first iteration whose total loss is not finite, or the last one.
std::int64_t first_not_finite(const SentenceRun& run) {
  const auto found =
      std::find_if(run.totals.begin(), run.totals.end(), [](double total) { return !std::isfinite(total); });
  const std::ptrdiff_t at = std::min(found - run.totals.begin(), std::ssize(run.totals) - 1);
  return static_cast<std::int64_t>(run.iterations[static_cast<std::size_t>(at)]);
}

void compare_totals(Page& page, const SentenceRun& run, const LessonSettings& settings) {
  Series simulated{.name = "simulated by the document", .x = {}, .y = {}, .look = Look::faint};
  for (const Simulated& row : kSimulated) {
    simulated.add(static_cast<double>(row.iteration), std::accumulate(row.loss.begin(), row.loss.end(), 0.0));
  }
  LineChart chart{
      .id = "sentence.chart",
      .title = "Total loss of the sentence",
      .x_label = "iteration",
      .y_label = "total loss",
      .series = {simulated, {.name = "real", .x = run.iterations, .y = run.totals, .look = Look::main}},
      .marks = {{'y', 4 * portable::log(12.0), "a guess", Look::faint}},
      .toggle_log_y = true,
      .y_min = 0.0,
      .y_max = 12.0};
  if (!settings.breaks("no-zero-grad")) {
    page.add(chart);
    page.paragraph("`--break=no-zero-grad` does not forget the gradients of the iterations before.");
    return;
  }
  const SentenceRun wrong = train_sentence(settings.seed, false);
  const auto broken = COMPUTED(first_not_finite(wrong));
  page.number("broken.zero_grad.iteration", broken,
              {.formula = "the first iteration, of those looked at, whose total loss is not finite",
               .label = "iteration",
               .engine = kLossEngine,
               .print = Print::count});
  for (const auto& [name, which] :
       {std::pair{"run.total.25", &run}, std::pair{"broken.zero_grad.25", &wrong}})
    page.number(name, COMPUTED(total_at(*which, 25)),
                {.digits = 3,
                 .formula = "the sum of $-log P$ of the four words",
                 .label = "total loss after 25 iterations",
                 .engine = kLossEngine});
  const auto end = static_cast<std::ptrdiff_t>(
      std::find(wrong.iterations.begin(), wrong.iterations.end(), static_cast<double>(broken.value)) -
      wrong.iterations.begin());
  chart.series.push_back({.name = "gradients never forgotten",
                          .x = {wrong.iterations.begin(), wrong.iterations.begin() + end},
                          .y = {wrong.totals.begin(), wrong.totals.begin() + end},
                          .look = Look::wrong});
  if (end < std::ssize(wrong.totals)) {  // the cliff: straight up, out of the chart
    chart.series.back().add(static_cast<double>(broken.value), *chart.y_max);
  }
  page.add(chart);
  page.paragraph(
      "If the gradients are not set to zero, each update follows the sum of all gradients so far: a momentum "
      "without a brake. At first that is even faster, {broken.zero_grad.25} after 25 iterations instead of "
      "{run.total.25}. But the sum does not vanish when the goal is reached, so the weights run on and on. "
      "At iteration {broken.zero_grad.iteration} the loss is infinite.");
}

void corrections(Page& page) {
  page.number(
      "document.loss_of_702", COMPUTED(-portable::log(0.702)),
      {.digits = 3, .formula = "$-log 0.702$", .inputs = {"document.p.love.50"}, .label = "loss of love"});
  page.correction(
      std::string(kJourneyProgress) + " and random weights",
      "iteration 0 has random weights, a total loss of {document.total.0}, and P(learning) = "
      "{document.p.learning.0}.",
      "random weights know nothing. All words start near 1/12 = {guess.p}, and the total loss near 4 log 12 "
      "= {guess.total}; here it is {run.total.0}. The document's iteration 0 has learned most of the "
      "sentence already.");
  page.correction(std::string(kJourneyProgress) + ", two lists",
                  "the total loss after 500 iterations is {document.total.500} in the table and "
                  "{document.listed.500} in the list; after 200 it is {document.total.200} and "
                  "{document.listed.200}, at the start {document.total.0} and {document.listed.0}.",
                  "the table is the sum of its four losses. None of these numbers was measured.");
  page.correction(std::string(kJourneyProgress) + ", iteration 50",
                  "P(love) = {document.p.love.50} has the loss {document.loss.love.50}.",
                  "$-log 0.702$ is {document.loss_of_702}.");
}

// ---- Snapshots ----

std::vector<std::size_t> likeliest_words(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] > p[b]; });
  return order;
}

Heat heat_of(const WordProbabilities& p, std::int64_t iteration) {
  Heat heat{.id = str("snapshot.heat.", iteration),
            .title = "P of each word (columns) after each prefix (rows)",
            .rows = {"<BOS>", "… we", "… love", "… deep"},
            .columns = {kSentenceWords.begin(), kSentenceWords.end()},
            .values = {}};
  for (const std::vector<double>& row : p) heat.values.insert(heat.values.end(), row.begin(), row.end());
  return heat;
}

void snapshot(Page& page, const SentenceRun& run, const SimulatedSnapshot& simulated) {
  const WordProbabilities& p = run.at.at(simulated.iteration);
  const std::vector<std::size_t> order = likeliest_words(p[0]);
  const auto after_bos = COMPUTED(std::vector<double>(p[0]));
  Table table{.caption = "the likeliest words after `<BOS>`",
              .columns = {"rank", "simulated", "$P$", "real", "$P$"}};
  for (std::size_t rank = 0; rank < 5; ++rank) {
    const std::string name = str("snapshot.", simulated.iteration, ".", rank + 1);
    const Guess& guess = simulated.top[rank];
    const std::size_t word = order[rank];
    table.rows.push_back({std::to_string(rank + 1), guess.word,
                          page.given(name + ".document", guess.p,
                                     {.digits = 3,
                                      .formula = "the document's simulated probability",
                                      .label = "simulated P(" + guess.word + ")"}),
                          kSentenceWords[word],
                          page.number(name + ".real", after_bos.at(static_cast<std::int64_t>(word)),
                                      {.digits = 3,
                                       .formula = "$e^z / sum$ of the model's logits",
                                       .label = str("P(", kSentenceWords[word], ")"),
                                       .engine = kSoftmaxEngine})});
  }
  page.add(table);
  page.add(heat_of(p, simulated.iteration));
}

void snapshots(Page& page, const SentenceRun& run) {
  page.heading("Snapshots of its predictions", 3);
  page.paragraph(
      "The map below has a row for each prefix and a column for each word of the vocabulary. At first it is "
      "noise; at the end each row has one strong cell, its target.");
  page.steps("snapshots", "The predictions during training", [&] {
    for (const SimulatedSnapshot& simulated : kSnapshots) {
      page.step(str("After ", simulated.iteration, " iterations"));
      snapshot(page, run, simulated);
    }
  });
  const std::vector<double>& last = run.at.at(kIterations)[0];
  page.number("snapshot.others", COMPUTED(1 - last[1]),
              {.formula = "$1 - P(we)$", .inputs = {"run.p.we.5000"}, .label = "P of all other words"});
  page.correction(
      std::string(kJourneyProgress) + ", top predictions",
      "after 200 iterations the five words listed have all of the probability: 0.456 + 0.312 + 0.156 + 0.048 "
      "+ 0.028 = 1.",
      "softmax leaves something for each of the 12 words. And nothing makes `the` the natural rival: in this "
      "text it never begins a sentence. At the end, the real model shares the remaining {snapshot.others} "
      "among all others.");
}

}  // namespace

void learn_the_sentence(Page& page, const LessonSettings& settings) {
  page.heading("One sentence, from random weights");
  page.paragraph(
      "The documents follow a model that learns `we love deep learning` in a vocabulary of 12 words. Their "
      "numbers are simulated. Here is a real GPT with the same words: one layer, two heads, 16 channels, "
      "random weights, and plain gradient descent at their rate of {sentence.rate}.");
  page.given("sentence.rate", kRate,
             {.digits = 2, .formula = "the documents' learning rate", .label = "learning rate"});
  page.number("guess.p", COMPUTED(1.0 / 12), {.digits = 3, .formula = "$1 / 12$", .label = "P of a guess"});
  page.number(
      "guess.total", COMPUTED(4 * portable::log(12.0)),
      {.digits = 3, .formula = "$4 log 12$", .inputs = {"guess.p"}, .label = "total loss of guesses"});
  settings.progress("training a GPT on one sentence");
  const SentenceRun run = train_sentence(settings.seed, true);
  Table table{.caption = "The probabilities of the four words",
              .columns = {"iteration", "run", "we", "love", "deep", "learning", "total loss"}};
  for (const Simulated& row : kSimulated) {
    simulated_row(page, table, row);
    real_row(page, table, run, row.iteration);
  }
  page.add(table);
  compare_totals(page, run, settings);
  page.paragraph(
      "The shape is the same: fast at first, then slower and slower, because a gradient is $P - target$ and "
      "vanishes as $P$ approaches 1. The start is not the same: the real model begins at a guess.");
  corrections(page);
  snapshots(page, run);
}

}  // namespace inkling
