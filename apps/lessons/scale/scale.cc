// Lesson 9: what more parameters, more data and more compute buy, measured.
#include "apps/lessons/scale/scale.h"

#include "apps/lessons/sentence.h"
#include "apps/text/stories.h"
#include "core/error.h"

namespace inkling {

using namespace page;

namespace {

constexpr const char* kJourney = "Step-by-step journey";

// GPT-3's dimensions (Brown et al. 2020, table 2.1).
GPT2Config gpt3() {
  return {.max_seq_len = 2048, .vocab_size = 50257, .layers = 96, .heads = 96, .channels = 12288};
}

double all_flops(const Measurements& measured) {
  double sum = 0;
  for (const Trained& run : measured.runs) sum += run.flops;
  return sum;
}

About count(const std::string& formula, const std::string& label) {
  return {.formula = formula, .label = label, .print = Print::count};
}

// The documents' two tables of scale, beside the models of this page and GPT-3.
void table_of_scale(Page& page, const ScalePlan& plan, const MeasuredRuns& measured) {
  const Trained &smallest = measured.value.longest(0),
                &largest = measured.value.longest(plan.sizes.size() - 1);
  const Trained& longest = measured.value.longest(plan.studied);
  page.number("scale.parameters.smallest", measured.of(static_cast<double>(smallest.parameters)),
              count("the weights of the smallest model", "smallest model"));
  page.number("scale.parameters.largest", measured.of(static_cast<double>(largest.parameters)),
              count("the weights of the largest model", "largest model"));
  page.number("scale.vocabulary", COMPUTED(story_tokenizer().vocab_size()),
              count("the tokens of the stories", "vocabulary"));
  page.number("scale.tokens", measured.of(static_cast<double>(longest.tokens)),
              count("the training tokens of the longest run", "tokens"));
  page.number("scale.context", COMPUTED(plan.T), count("the tokens of a row", "context"));
  page.number("scale.words", COMPUTED(kSentenceWords.size()),
              count("the words of the document's list", "words of the example"));
  page.number("scale.weights", COMPUTED(3 * kSentenceWords.size()),
              {.formula = "three layers of 12 weights",
               .inputs = {"scale.words"},
               .label = "weights of the example",
               .print = Print::count});
  page.number("scale.gpt3", COMPUTED(static_cast<double>(gpt3().parameter_count()) / 1e9),
              {.digits = 1,
               .formula = "the weights of a GPT with 96 layers and 12,288 channels, in billions",
               .label = "GPT-3, billions",
               .engine = "parameter_count in nn/gpt2_config.cc"});
  page.number(
      "scale.gpt3.times",
      COMPUTED(static_cast<double>(gpt3().parameter_count()) / static_cast<double>(largest.parameters)),
      {.digits = 0,
       .formula = "GPT-3's weights, divided by those of the largest model here",
       .inputs = {"scale.gpt3", "scale.parameters.largest"},
       .label = "times",
       .print = Print::count});
  page.number("scale.flops", COMPUTED(all_flops(measured.value)),
              {.digits = 1,
               .formula = "the sum over all runs of 6 FLOP for each weight and token, and attention",
               .label = "FLOPs of all runs",
               .engine = "training_flops_per_token in nn/gpt2_config.cc",
               .print = Print::scientific});
  page.heading("How large is large?");
  page.paragraph(
      "The documents end with tables that put their example beside real models. Here is what stands between "
      "the two: models that train in seconds, and can be measured.");
  page.add(Table{
      .caption = "",
      .columns = {"", "the documents' example", "this page", "real models, they say"},
      .rows = {
          {"vocabulary", Cell::marked("{scale.words} words"), Cell::marked("{scale.vocabulary} tokens"),
           "50,000 to 100,000+ tokens"},
          {"parameters", Cell::marked("{scale.weights}"),
           Cell::marked("{scale.parameters.smallest} to {scale.parameters.largest}"), "7B to 175B+"},
          {"training data", "1 sentence", Cell::marked("up to {scale.tokens} tokens"), "trillions of tokens"},
          {"context", "4 tokens", Cell::marked("{scale.context} tokens"), "2K to 100K+ tokens"},
          {"compute", "none", Cell::marked("{scale.flops} FLOP in all"), "months on GPUs"}}});
  page.paragraph(
      "GPT-3's 175 billion are the same formula with 96 layers and 12,288 channels: {scale.gpt3} billion, "
      "{scale.gpt3.times} times the largest model here. Nothing else in this lesson depends on it: the code "
      "is the same.");
  page.correction(std::string(kJourney) + ", scaling, and its summary",
                  "the example has 12 words and 36 parameters. The summary says 6 words and about 18.",
                  "its list has {scale.words} words, and three layers of 12 weights are {scale.weights}.");
}

void write(Page& page, const LessonSettings& settings) {
  page.lede(
      "More parameters, more data, more compute: how much lower is the loss, and what can a model do then "
      "that it could not do before?");
  const ScalePlan plan = scale_plan(settings.quick);
  const auto measured = COMPUTED(measure(plan, settings));
  if (settings.quick) {
    page.paragraph(
        "*This is the quick form* of the lesson, with three small models and short trainings. What it shows "
        "is cruder. `inkling lesson 9` takes minutes.");
  }
  table_of_scale(page, plan, measured);
  add_runs(page, plan, measured);
  laws(page, plan, measured, settings);
  skills(page, plan, measured);
  claims(page, plan, measured);
}

}  // namespace

std::string size_label(const Trained& run) {
  return printed(static_cast<double>(run.parameters), {.print = Print::count}) + " parameters";
}

std::string run_name(const ScalePlan& plan, const Trained& run, const std::string& what) {
  return str("run.c", plan.sizes[run.size].channels, ".d", run.share, ".", what);
}

void add_runs(Page& page, const ScalePlan& plan, const MeasuredRuns& measured) {
  page.number("exam.min_over_rows", measured.of(measured.value.min_over_rows),
              {.formula = "the mean of -log p of the exam's targets under the grammar",
               .label = "minimum over rows"});
  page.number("exam.min_over_stories", measured.of(measured.value.min_over_stories),
              {.formula = "the mean of -log p of all tokens of the exam's stories under the grammar",
               .label = "minimum over whole stories"});
  for (const Trained& run : measured.value.runs) {
    const std::string label = size_label(run);
    const auto number = [&](const std::string& what, double value, About about) {
      about.label = what + " of " + label;
      return page.number(run_name(plan, run, what), measured.of(value), about);
    };
    const Ref parameters = number("parameters", static_cast<double>(run.parameters),
                                  {.formula = "the number of weights", .print = Print::count});
    const Ref tokens = number("tokens", static_cast<double>(run.tokens),
                              {.formula = "steps times rows times tokens of a row", .print = Print::count});
    number("flops", run.flops,
           {.digits = 1,
            .formula = "6 FLOP for each weight and token, and attention",
            .inputs = {parameters, tokens},
            .engine = "training_flops_per_token in nn/gpt2_config.cc",
            .print = Print::scientific});
    const Ref loss = number("loss", run.exam.loss,
                            {.formula = "the mean loss on stories that no training has seen",
                             .engine = "mean_loss in apps/lessons/story_run.cc"});
    number("reducible", run.reducible, {.formula = "loss - minimum", .inputs = {loss, "exam.min_over_rows"}});
  }
}

Lesson scale() {
  return {9,
          "What scale buys",
          "loss against parameters, data and compute, and abilities by size and by step",
          {{"same-rate", "all sizes train at the learning rate of the smallest"},
           {"repeated-data", "a share of the stories again and again, instead of new ones"}},
          write,
          true};
}

}  // namespace inkling
