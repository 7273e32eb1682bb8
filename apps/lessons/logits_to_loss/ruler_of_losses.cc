// Lesson 2, the ruler of losses: whether a loss is good depends on the lowest loss that is possible.
//
// All losses are means over the same held-out rows of stories. The model and the counts learn from other
// stories.
#include <cmath>
#include <map>
#include <string>

#include "apps/lessons/logits_to_loss/logits_to_loss.h"
#include "apps/lessons/story_run.h"
#include "apps/run/perplexity.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "core/portable_math.h"

namespace inkling {

using namespace page;

namespace {

constexpr std::uint64_t kCountedStream = 2001, kHeldOutStream = 2002;

// The probabilities of tokens, and of tokens after a token, from counts.
class Counts {
 public:
  Counts(const std::vector<std::int32_t>& tokens, std::int64_t V)
      : V_(V), single_(static_cast<std::size_t>(V)) {
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      ++single_[static_cast<std::size_t>(tokens[i])];
      if (i > 0) ++pairs_[{tokens[i - 1], tokens[i]}];
    }
    total_ = static_cast<double>(tokens.size());
  }
  // One is added to each count, so that no token is impossible.
  double unigram(std::int32_t token) const {
    return (single_[static_cast<std::size_t>(token)] + 1) / (total_ + static_cast<double>(V_));
  }
  // The counts of pairs, and one more observation that is divided among all tokens in proportion to the
  // unigram.
  double bigram(std::int32_t before, std::int32_t token) const {
    const auto found = pairs_.find({before, token});
    return ((found == pairs_.end() ? 0 : found->second) + unigram(token)) /
           (single_[static_cast<std::size_t>(before)] + 1);
  }

 private:
  std::int64_t V_;
  double total_ = 0;
  std::vector<double> single_;
  std::map<std::pair<std::int32_t, std::int32_t>, double> pairs_;
};

double unigram_loss(const Counts& counts, const StoryRows& rows) {
  double nats = 0;
  for (const std::int32_t target : rows.targets) nats -= portable::log(counts.unigram(target));
  return nats / static_cast<double>(rows.targets.size());
}

double bigram_loss(const Counts& counts, const StoryRows& rows) {
  double nats = 0;
  for (std::size_t i = 0; i < rows.targets.size(); ++i)
    nats -= portable::log(counts.bigram(rows.ids[i], rows.targets[i]));
  return nats / static_cast<double>(rows.targets.size());
}

std::vector<std::int32_t> counted_tokens(std::uint64_t seed) {
  Rng rng(seed, kCountedStream);
  Story text;
  while (text.tokens.size() < 100000) story_grammar().write(rng, text);
  return text.tokens;
}

// A mark of the ruler: a loss in nats, in bits and as a perplexity.
void mark(Page& page, const std::string& name, const std::string& label, const Computed<double>& loss,
          About about, Table& table, BarChart& chart, Look look) {
  about.label = "loss of " + label;
  const Ref nats = page.number("ruler." + name, loss, about);
  const Ref bits = page.number("ruler." + name + ".bits", COMPUTED(loss.value / portable::log(2.0)),
                               {.digits = 2, .formula = "$nats / log 2$", .inputs = {nats}, .label = "bits"});
  const Ref choices =
      page.number("ruler." + name + ".perplexity", COMPUTED(perplexity(loss.value)),
                  {.digits = 2, .formula = "$e^{nats}$", .inputs = {nats}, .label = "perplexity"});
  table.rows.push_back({label, nats, bits, choices});
  chart.bars.push_back({label, nats, look});
}

}  // namespace

void ruler_of_losses(Page& page, const LessonSettings& settings) {
  page.heading("A ruler of losses");
  const StoryRun run{.seed = settings.seed};
  Rng rng(settings.seed, kHeldOutStream);
  StoryRows rows = story_rows(64, run.T, rng);
  const auto V = static_cast<std::int64_t>(run.config().vocab_size);
  Series curve{.name = "the model", .x = {}, .y = {}, .look = Look::main};
  GPT2 model = train_on_stories(run, [&](std::int64_t step, double loss, GPT2&) {
    if (step % 10 == 0) settings.progress(str("training a small model: step ", step, " of ", run.steps));
    curve.add(static_cast<double>(step), loss);
  });
  const std::vector<std::int32_t> counted = counted_tokens(settings.seed);
  const Counts counts(counted, V);

  page.given("ruler.vocabulary", static_cast<double>(V),
             {.formula = "the tokens of the stories", .label = "V", .print = Print::count});
  page.given("ruler.steps", static_cast<double>(run.steps),
             {.formula = "steps of training", .label = "steps", .print = Print::count});
  page.paragraph(
      "Is a loss of 1 good? It depends on the text. The stories that inkling writes for training have "
      "{ruler.vocabulary} different tokens, and their grammar knows the probability of each next token. So "
      "the best possible loss is known.");
  Table table{.caption = "Mean loss on the same held-out stories",
              .columns = {"what predicts", "nats", "bits", "perplexity"}};
  BarChart chart{.id = "ruler.chart",
                 .title = "From guessing to the best possible prediction",
                 .x_label = "nats for each token"};
  mark(page, "uniform", "every token alike: ln V", COMPUTED(portable::log(static_cast<double>(V))),
       {.formula = "$log V$", .inputs = {"ruler.vocabulary"}}, table, chart, Look::faint);
  mark(page, "unigram", "how often a token comes", COMPUTED(unigram_loss(counts, rows)),
       {.formula = "mean of $-log P(token)$"}, table, chart, Look::third);
  mark(page, "bigram", "the token before", COMPUTED(bigram_loss(counts, rows)),
       {.formula = "mean of $-log P(token after the token before)$"}, table, chart, Look::third);
  const auto loss = COMPUTED(mean_loss(model, rows));
  mark(page, "model", "a GPT, trained just now", loss,
       {.formula = "mean cross-entropy of the model", .engine = "loss in nn/gpt2.cc"}, table, chart,
       Look::main);
  mark(page, "min_over_rows", "minimum over rows", COMPUTED(double(rows.min_over_rows)),
       {.formula = "mean of $-log P$ under the grammar, over the targets of the rows",
        .engine = "write in apps/text/grammar.cc"},
       table, chart, Look::wrong);
  page.number("ruler.min_over_stories", COMPUTED(double(rows.min_over_stories)),
              {.formula = "mean of $-log P$ under the grammar, over all tokens of the stories",
               .label = "minimum over whole stories",
               .engine = "write in apps/text/grammar.cc"});
  page.add(chart);
  page.add(table);
  page.number("ruler.parameters", COMPUTED(run.config().parameter_count()),
              {.formula = "all weights of the model", .label = "parameters", .print = Print::count});
  page.paragraph(
      "Counting tokens takes the loss from {ruler.uniform} to {ruler.unigram}; looking at one token before "
      "takes it to {ruler.bigram}. A GPT with {ruler.parameters} parameters that was trained for "
      "{ruler.steps} steps while this page was made has {ruler.model}. Nothing can have less than "
      "{ruler.min_over_rows} on these rows of stories. (Over the whole stories from which the rows are cut, "
      "the minimum is {ruler.min_over_stories}.)");
  page.add(LineChart{.id = "ruler.training",
                     .title = "The same model while it was trained",
                     .x_label = "step",
                     .y_label = "loss of the batch",
                     .series = {curve},
                     .marks = {{'y', page.at("ruler.uniform").value, "ln V", Look::faint},
                               {'y', page.at("ruler.bigram").value, "bigram", Look::third},
                               {'y', rows.min_over_rows, "minimum over rows", Look::minimum}},
                     .toggle_log_y = true,
                     .y_min = 0.0});
  page.number("ruler.fifty_thousand", COMPUTED(portable::log(50000.0)),
              {.digits = 2, .formula = "$log 50000$", .label = "ln 50,000"});
  page.correction(
      "Training the LLM, the learning curve",
      "a simulated loss starts at 12 and falls to 2, with a vocabulary of about 50,000 words.",
      "a model that knows nothing gives every word the same probability and has a loss of ln 50,000 = "
      "{ruler.fifty_thousand}. A start at 12 would be worse than knowing nothing. The curve above was "
      "measured; it starts at about ln V.");
}

}  // namespace inkling
