// Lesson 6: which words are learned first, and why. The documents give two opposite answers; here are
// measurements: one sentence with many random starts, and a text of four sentences.
#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <string>

#include "apps/lessons/sentence.h"
#include "apps/lessons/training_loop/training_loop.h"
#include "core/error.h"
#include "core/portable_math.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::int64_t kStarts = 40;  // models that learn the same sentence, with different random weights
constexpr std::int64_t kFewIterations = 100;
constexpr double kHalf = 0.5, kSlowRate = 0.03, kCorpusRate = 0.05;

// ---- One sentence, many random starts ----

// The first iteration after which the probability of each word is at least 1/2.
using Learned = std::array<std::int64_t, 4>;

Learned learned_from(std::uint64_t seed, Sentence sentence) {
  GPT2 model = sentence_model(seed);
  Learned learned;
  learned.fill(kFewIterations + 1);  // not learned
  run_loop(model, sentence.batch(), {.lr = kSlowRate, .iterations = kFewIterations}, [&](std::int64_t done) {
    const WordProbabilities p = word_probabilities(model, sentence.ids);
    for (std::size_t t = 0; t < 4; ++t) {
      if (p[t][t + 1] >= kHalf) learned[t] = std::min(learned[t], done);
    }
  });
  return learned;
}

std::vector<Learned> learned_from_many(const Sentence& sentence, const LessonSettings& settings) {
  std::vector<Learned> all;
  for (std::int64_t i = 0; i < kStarts; ++i) {
    settings.progress(str("one sentence, random start ", i + 1, " of ", kStarts));
    all.push_back(learned_from(settings.seed + 100 + static_cast<std::uint64_t>(i), sentence));
  }
  return all;
}

// How often each word was the first. Words that are first together share the run.
std::vector<double> firsts(const std::vector<Learned>& all) {
  std::vector<double> counts(4, 0.0);
  for (const Learned& learned : all) {
    const std::int64_t best = *std::min_element(learned.begin(), learned.end());
    const auto together = static_cast<double>(std::count(learned.begin(), learned.end(), best));
    for (std::size_t w = 0; w < 4; ++w) counts[w] += learned[w] == best ? 1 / together : 0;
  }
  return counts;
}

double mean_iteration(const std::vector<Learned>& all, std::size_t word) {
  double sum = 0;
  for (const Learned& learned : all) sum += static_cast<double>(learned[word]);
  return sum / static_cast<double>(all.size());
}

// Adds the numbers of one experiment, and their two cells to each row.
void add_experiment(Page& page, const std::string& name, const std::vector<Learned>& all, Table& table) {
  const auto counts = COMPUTED(firsts(all));
  for (std::size_t w = 0; w < 4; ++w) {
    const std::string word = kSentenceWords[w + 1];
    table.rows[w].push_back(page.number(name + ".count." + word, counts.at(static_cast<std::int64_t>(w)),
                                        {.digits = 1,
                                         .formula = "runs in which this word was the first with $P ≥ 1/2$",
                                         .inputs = {"first.starts"},
                                         .label = "runs",
                                         .engine = "backward in core/tape.cc"}));
    table.rows[w].push_back(
        page.number(name + ".mean." + word, COMPUTED(mean_iteration(all, w)),
                    {.digits = 1,
                     .formula = "mean over all starts of the iteration at which $P$ reaches 1/2",
                     .inputs = {"first.starts"},
                     .label = "mean iteration"}));
  }
}

void many_starts(Page& page, const LessonSettings& settings) {
  page.given("first.starts", static_cast<double>(kStarts),
             {.formula = "random starts", .label = "starts", .print = Print::count});
  Table table{
      .caption = "How often each word was learned first, and the mean iteration at which it was learned",
      .columns = {"word", "first in", "learned at", "first in, other inputs", "learned at"},
      .rows = {{"we"}, {"love"}, {"deep"}, {"learning"}}};
  add_experiment(page, "first", learned_from_many(Sentence(), settings), table);
  const Sentence other{.ids = {0, 6, 7, 8}};  // <BOS> the is great: none of them is a target
  add_experiment(page, "other", learned_from_many(other, settings), table);
  BarChart chart{.id = "first.chart", .title = "How often each word was learned first", .x_label = "runs"};
  for (std::size_t w = 0; w < 4; ++w) {
    const std::string word = kSentenceWords[w + 1];
    chart.bars.push_back({word, "first.count." + word});
  }
  page.given("first.rate", kSlowRate, {.digits = 2, .formula = "a learning rate", .label = "learning rate"});
  page.paragraph(
      "First the same sentence, in {first.starts} models with different random weights, at the rate "
      "{first.rate}. A word counts as learned when its probability reaches 1/2; words that are first "
      "together share the run.");
  page.add(chart);
  page.add(table);
  page.paragraph(
      "Each prefix of this text has exactly one continuation, so no word has rivals in the text. Still the "
      "words at the ends are faster: on average `learning` is learned after {first.mean.learning} iterations "
      "and `we` after {first.mean.we}, but `love` after {first.mean.love} and `deep` after "
      "{first.mean.deep}. One reason is that a GPT has one table of vectors for reading and for writing. "
      "`we`, `love` and `deep` are both read and written, and the two uses disturb each other. The right "
      "half of the table has the same four targets after other inputs, `<BOS> the is great`, which are never "
      "targets: now all words are faster, and the middle ones gain most ({other.mean.love} and "
      "{other.mean.deep}). What stays is the place: the first and the last place are the easiest to tell "
      "from the others.");
  page.correction(
      "Step-by-step journey, training progress and training insights",
      "one list says that early words such as `we` improve faster, another that later words such as "
      "`learning` learn faster.",
      "both ends are faster than the middle. And it is a matter of a few iterations: in the simulated table "
      "`learning` only looks so fast because it starts at {document.p.learning.0}.");
}

// ---- A text of four sentences ----

constexpr std::int64_t kRows = 4, kT = 4, kCorpusIterations = 2000;

// Four sentences of the same 12 words. After <BOS>, three words are possible.
struct Corpus {
  std::array<std::int32_t, kRows* kT> ids = {0, 1,  2,  3,        // <BOS> we love deep
                                             0, 6,  9,  7,        // <BOS> the model is
                                             0, 6,  11, 7,        // <BOS> the world is
                                             0, 10, 11, 5};       // <BOS> hello world <EOS>
  std::array<std::int32_t, kRows* kT> targets = {1,  2,  3, 4,    // we love deep learning
                                                 6,  9,  7, 8,    // the model is great
                                                 6,  11, 7, 8,    // the world is great
                                                 10, 11, 5, -1};  // hello world <EOS>
  MicroBatch batch() { return {Tensor(ids.data(), {kRows, kT}), Tensor(targets.data(), {kRows, kT})}; }
};

// How often each word follows each prefix.
using Followers = std::map<std::vector<std::int32_t>, std::map<std::int32_t, double>>;
Followers followers(const Corpus& corpus) {
  Followers counts;
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (std::int64_t t = 0; t < kT; ++t) {
      const auto begin = corpus.ids.begin() + row * kT;
      const std::int32_t target = corpus.targets[static_cast<std::size_t>(row * kT + t)];
      if (target >= 0) ++counts[{begin, begin + t + 1}][target];
    }
  }
  return counts;
}

// The share of a word among all that follow a prefix.
double share(const Followers& counts, const std::vector<std::int32_t>& prefix, std::int32_t word) {
  double all = 0;
  for (const auto& [_, n] : counts.at(prefix)) all += n;
  return counts.at(prefix).at(word) / all;
}

// The lowest possible mean loss: each word predicted with its share.
double lowest_loss(const Followers& counts) {
  double nats = 0, targets = 0;
  for (const auto& [prefix, words] : counts) {
    for (const auto& [word, n] : words) {
      nats -= n * portable::log(share(counts, prefix, word));
      targets += n;
    }
  }
  return nats / targets;
}

// A prefix and its next word, whose probability is watched.
struct Place {
  std::string name, title;
  std::vector<std::int32_t> prefix;
  std::int32_t word;
  Look look;
};
const std::vector<Place> kPlaces = {{"we", "<BOS> → we", {0}, 1, Look::main},
                                    {"the", "<BOS> → the", {0}, 6, Look::second},
                                    {"model", "the → model", {0, 6}, 9, Look::third},
                                    {"learning", "we love deep → learning", {0, 1, 2, 3}, 4, Look::fourth}};

struct CorpusRun {
  std::vector<Series> curves;         // P of each place
  std::vector<double> last;           // P of each place after training
  std::vector<std::int64_t> settled;  // when P stayed within 0.05 of its share
  double loss = 0;
};

CorpusRun train_corpus(const Followers& counts, std::uint64_t seed) {
  Corpus corpus;
  GPT2 model = sentence_model(seed);
  CorpusRun run;
  for (const Place& place : kPlaces)
    run.curves.push_back({.name = place.title, .x = {}, .y = {}, .look = place.look});
  run.settled.assign(kPlaces.size(), 0);
  run_loop(model, corpus.batch(), {.lr = kCorpusRate, .iterations = kCorpusIterations},
           [&](std::int64_t done) {
             if (done % (done <= 400 ? 2 : 10) != 0) return;
             run.last.clear();
             for (std::size_t i = 0; i < kPlaces.size(); ++i) {
               const Place& place = kPlaces[i];
               run.last.push_back(
                   word_probabilities(model, place.prefix).back()[static_cast<std::size_t>(place.word)]);
               if (std::abs(run.last[i] - share(counts, place.prefix, place.word)) > 0.05)
                 run.settled[i] = done;
               if (done > 400) continue;  // the chart shows the beginning
               run.curves[i].add(static_cast<double>(done), run.last[i]);
             }
           });
  Tape tape(Recording::off);
  const MicroBatch batch = corpus.batch();
  run.loss = static_cast<double>(model.loss(tape, batch.ids, batch.targets).item());
  return run;
}

void four_sentences(Page& page, const LessonSettings& settings) {
  page.paragraph(
      "The documents' reason, that a beginning has many continuations, needs a text in which this is so. "
      "Here are four sentences of the same 12 words:");
  page.list({"we love deep learning", "the model is great", "the world is great", "hello world"});
  settings.progress("training a GPT on four sentences");
  const Followers counts = followers(Corpus());
  const auto run = COMPUTED(train_corpus(counts, settings.seed));
  Table table{.caption = "",
              .columns = {"place", "share in the text", "$P$ after 2,000 iterations", "settled"}};
  for (std::size_t i = 0; i < kPlaces.size(); ++i) {
    const Place& place = kPlaces[i];
    const Ref in_text =
        page.number("corpus.share." + place.name, COMPUTED(share(counts, place.prefix, place.word)),
                    {.digits = 3,
                     .formula = "how often the word follows / how often any word follows",
                     .label = "share in the text"});
    const Ref p = page.number("corpus.p." + place.name, run.of(run.value.last[i]),
                              {.digits = 3,
                               .formula = "$e^z / sum$ of the model's logits",
                               .inputs = {in_text},
                               .label = "P after training",
                               .engine = "softmax_forward in ops/softmax_simd.h"});
    table.rows.push_back(
        {place.title, in_text, p,
         page.number("corpus.settled." + place.name, run.of(static_cast<double>(run.value.settled[i])),
                     {.formula = "the last iteration at which $P$ was more than 0.05 from the share",
                      .inputs = {p, in_text},
                      .label = "settled after",
                      .print = Print::count})});
  }
  page.add(LineChart{.id = "corpus.chart",
                     .title = "Each word approaches its share in the text, which need not be 1",
                     .x_label = "iteration",
                     .y_label = "P",
                     .series = run.value.curves,
                     .y_min = 0.0,
                     .y_max = 1.0});
  page.add(table);
  const Ref minimum = page.number("corpus.minimum", COMPUTED(lowest_loss(counts)),
                                  {.formula = "the mean of $-log$ share",
                                   .inputs = {"corpus.share.we", "corpus.share.the", "corpus.share.model"},
                                   .label = "lowest possible loss"});
  page.number("corpus.loss", run.of(run.value.loss),
              {.formula = "the mean loss of the text after training",
               .inputs = {minimum},
               .label = "loss",
               .engine = "loss in nn/gpt2.cc"});
  page.paragraph(
      "Now the documents are right about the end: `learning` has one possible prefix and goes to 1, and `we` "
      "can never do better than {corpus.share.we}, because other sentences begin differently. That is not a "
      "weakness of the model but a property of the text: its lowest possible mean loss is {corpus.minimum}, "
      "and the model reaches {corpus.loss}. But `we` is not slower: its probability settles after "
      "{corpus.settled.we} iterations, that of `learning` after {corpus.settled.learning}. A beginning "
      "occurs in every sentence, so it gets a gradient from each of them.");
  page.paragraph(
      "This is also what fitting a text means: the model gives `the` the probability {corpus.p.the} after "
      "`<BOS>` because {corpus.share.the} of the sentences begin with it. A model takes over whatever its "
      "text prefers: the habits, the errors, the views.");
}

}  // namespace

void which_words_first(Page& page, const LessonSettings& settings) {
  page.heading("Which words are learned first?");
  many_starts(page, settings);
  four_sentences(page, settings);
}

}  // namespace inkling
