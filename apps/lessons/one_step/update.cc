// Lesson 8, the update: what AdamW does with one gradient, the loss after the step, and the steps after it.
#include <algorithm>
#include <cmath>

#include "apps/lessons/one_step/one_step.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "optim/adamw.h"

namespace inkling {

using namespace page;

namespace {

// The documents' settings of Adam, but a learning rate that is ten times as high, so that one step shows.
constexpr double kRate = 0.01, kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-8, kDecay = 0.1;
constexpr std::int64_t kSteps = 100;  // of the curve
constexpr std::size_t kWritten = 3;   // steps that are written out
constexpr std::size_t kWe = 1, kC = 4, kT = 4;
constexpr std::size_t kWeight = kWe * kC;  // wte[we, 0]: the word table is the first tensor of the model

const AdamWSettings kSettings = {.beta1 = kBeta1, .beta2 = kBeta2, .eps = kEps, .weight_decay = kDecay};
const char* const kUpdate = "adamw_update in ops/update/adamw_simd.h";

// The weight wte[we, 0] in one step.
struct WeightStep {
  double gradient, m, v, before, after;
};
// A training from the lesson's first weights.
struct Training {
  std::vector<double> losses;       // before each step, and after the last
  std::vector<WeightStep> written;  // the first steps of one weight
  std::vector<float> moved;         // all weights after the first step
};

// The engine's own training step, with the engine's AdamW.
Training train(std::uint64_t seed) {
  Sentence sentence;
  GPT2 model = printable_model(seed);
  AdamW optimizer(segments_of(model.parameters().table()), kSettings);
  Tape tape;
  const MicroBatch batch = sentence.batch();
  const std::span<float> weights = model.parameters().values();
  Training training;
  for (std::int64_t step = 1; step <= kSteps + 1; ++step) {
    const auto before = static_cast<double>(weights[kWeight]);
    const bool last = step == kSteps + 1;  // the last pass only computes the loss
    const StepSettings settings{.step = step, .lr = last ? 0 : static_cast<float>(kRate)};
    training.losses.push_back(training_step(model, optimizer, tape, {&batch, 1}, settings).loss);
    if (training.written.size() < kWritten) {
      training.written.push_back({static_cast<double>(model.parameters().gradients()[kWeight]),
                                  static_cast<double>(optimizer.m()[kWeight]),
                                  static_cast<double>(optimizer.v()[kWeight]), before,
                                  static_cast<double>(weights[kWeight])});
    }
    if (step == 1) training.moved.assign(weights.begin(), weights.end());
  }
  return training;
}

// AdamW without the correction of m and v.
class UncorrectedAdamW {
 public:
  explicit UncorrectedAdamW(Parameters& parameters)
      : parameters_(parameters), m_(parameters.values().size()), v_(m_.size()) {}

  void step(double rate) {
    for (const Parameter& p : parameters_.table()) {
      const auto begin = static_cast<std::size_t>(p.offset);
      for (std::size_t i = begin; i < begin + static_cast<std::size_t>(p.shape.numel()); ++i)
        step(i, rate, p.decay ? kDecay : 0);
    }
  }

 private:
  void step(std::size_t i, double rate, double decay) {
    const auto g = static_cast<double>(parameters_.gradients()[i]);
    const auto w = static_cast<double>(parameters_.values()[i]);
    m_[i] = kBeta1 * m_[i] + (1 - kBeta1) * g;
    v_[i] = kBeta2 * v_[i] + (1 - kBeta2) * g * g;
    parameters_.values()[i] =
        static_cast<float>(w - rate * decay * w - rate * m_[i] / (std::sqrt(v_[i]) + kEps));
  }

  Parameters& parameters_;
  std::vector<double> m_, v_;
};

// The settings of a training. The defaults are the lesson's own training.
struct Recipe {
  std::uint64_t seed;
  Parts parts = {};
  bool correct_bias = true;
  std::int64_t layers = 1;
  double rate = kRate;
  double scale = 1;  // of the random first weights
};

GPT2 first_model(const Recipe& recipe) {
  GPT2 model = printable_model(recipe.seed, recipe.layers);
  for (std::size_t t = 0; t < kGPT2Tensors; ++t) {
    if (!model.parameters().table()[t].decay) continue;  // norms and biases do not start at random
    for (float& w : model.parameters().values_of(t)) w *= static_cast<float>(recipe.scale);
  }
  return model;
}

Recipe recipe_of(const LessonSettings& settings) {
  return {.seed = settings.seed,
          .parts = parts_of(settings),
          .correct_bias = !settings.breaks("no-bias-correction")};
}

// The losses before each step, and after the last step.
std::vector<double> losses_of(const Recipe& recipe) {
  Sentence sentence;
  GPT2 model = first_model(recipe);
  Parameters& parameters = model.parameters();
  AdamW corrected(segments_of(parameters.table()), kSettings);
  UncorrectedAdamW uncorrected(parameters);
  Tape tape;
  std::vector<double> losses;
  for (std::int64_t step = 1; step <= kSteps + 1; ++step) {
    tape.clear();
    const Tensor loss = forward(tape, model, sentence, recipe.parts, nullptr);
    losses.push_back(static_cast<double>(loss.item()));
    tape.backward(loss);
    if (recipe.correct_bias) {
      corrected.step(parameters.values().data(), parameters.gradients().data(), step,
                     static_cast<float>(recipe.rate), 1.0f);
    } else {
      uncorrected.step(recipe.rate);
    }
  }
  return losses;
}

// The length of the gradient that arrives at x0, the start of the model.
double arriving(const Recipe& recipe) {
  Sentence sentence;
  GPT2 model = first_model(recipe);
  Tape tape;
  WatchedTensors watched;
  tape.backward(forward(tape, model, sentence, recipe.parts, &watched));
  double sum = 0;
  for (const float g : watched.at("x0").gradient) sum += static_cast<double>(g) * static_cast<double>(g);
  return std::sqrt(sum);
}

// ---- One weight ----

// The part of the gradient of wte[we, 0] that comes from the logits, where words are predicted.
double from_predicting(const OnePass& pass) {
  const Watched &logits = pass.seen.at("logits"), &nf = pass.seen.at("nf");
  double sum = 0;
  for (std::size_t t = 0; t < kT; ++t) {
    sum += static_cast<double>(logits.gradient[t * kSentenceWords.size() + kWe]) *
           static_cast<double>(nf.value[t * kC]);
  }
  return sum;
}

double from_reading(const OnePass& pass) {
  return static_cast<double>(pass.seen.at("x0").gradient[kWe * kC]);
}

void two_uses(Page& page, const OnePass& pass) {
  page.heading("One weight, one step");
  std::vector<Ref> predicted;
  for (std::size_t t = 0; t < kT; ++t) {
    predicted.push_back(gradient_name("logits", t, kWe));
    predicted.push_back(value_name("nf", t, 0));
  }
  const Ref reading = page.number("update.reading", COMPUTED(from_reading(pass)),
                                  {.digits = 6,
                                   .formula = "the gradient of $x_0$ at `we`, channel 0",
                                   .inputs = {gradient_name("x0", kWe, 0)},
                                   .label = "gradient from reading"});
  const Ref predicting =
      page.number("update.predicting", COMPUTED(from_predicting(pass)),
                  {.digits = 6,
                   .formula = "the sum over the tokens of the gradient of `we`'s logit times $n_f$",
                   .inputs = predicted,
                   .label = "gradient from predicting"});
  page.number("update.sum", COMPUTED(from_reading(pass) + from_predicting(pass)),
              {.digits = 6,
               .formula = "both parts",
               .inputs = {reading, predicting},
               .label = "sum of both gradients"});
  page.paragraph(
      "Take the first number of the word `we` in the word table. It was used twice. As an input, its "
      "gradient is that of $x_0$: {update.reading}. As a prediction, its gradient comes from the four logits "
      "of `we`: {update.predicting}. Together {update.sum}; the tape says {update.1.gradient}.");
}

double corrected(double moment, double beta, std::size_t t) {
  return moment / (1 - portable::power(beta, static_cast<std::int64_t>(t)));
}

double step_of(const WeightStep& step, std::size_t t) {
  return kRate * corrected(step.m, kBeta1, t) / (std::sqrt(corrected(step.v, kBeta2, t)) + kEps);
}

void add_settings(Page& page) {
  page.given("update.rate", kRate, {.digits = 2, .formula = "setting", .label = "learning rate"});
  page.given("update.beta1", kBeta1, {.digits = 1, .formula = "setting", .label = "beta1"});
  page.given("update.beta2", kBeta2, {.digits = 3, .formula = "setting", .label = "beta2"});
  page.given("update.decay", kDecay, {.digits = 1, .formula = "setting", .label = "weight decay"});
}

// The numbers of step t of the weight.
void add_step(Page& page, const Computed<Training>& training, std::size_t t) {
  const WeightStep& step = training.value.written[t - 1];
  const std::string name = str("update.", t, "."), earlier = str("update.", t - 1, ".");
  const auto with_earlier = [&](const char* moment, std::vector<Ref> inputs) {
    if (t > 1) inputs.push_back(earlier + moment);
    return inputs;
  };
  page.number(name + "gradient", training.of(step.gradient),
              {.digits = 6,
               .formula = "the tape's gradient of wte[we, 0]",
               .inputs = t == 1 ? std::vector<Ref>{gradient_name("wte", kWe, 0)} : std::vector<Ref>{},
               .label = "gradient"});
  page.number(name + "before", training.of(step.before),
              {.digits = 6,
               .formula = "the weight before the step",
               .inputs = t == 1 ? std::vector<Ref>{value_name("wte", kWe, 0)}
                                : std::vector<Ref>{Ref(earlier + "after")},
               .label = "weight before"});
  page.number(name + "m", training.of(step.m),
              {.digits = 6,
               .formula = "$β_1 * m + (1 - β_1) * g$",
               .inputs = with_earlier("m", {Ref(name + "gradient"), "update.beta1"}),
               .label = "m",
               .engine = kUpdate});
  page.number(name + "v", training.of(step.v),
              {.digits = 3,
               .formula = "$β_2 * v + (1 - β_2) * g^2$",
               .inputs = with_earlier("v", {Ref(name + "gradient"), "update.beta2"}),
               .label = "v",
               .engine = kUpdate,
               .print = Print::scientific});
  page.number(name + "m_corrected", COMPUTED(corrected(step.m, kBeta1, t)),
              {.digits = 6,
               .formula = "$m / (1 - β_1^t)$",
               .inputs = {Ref(name + "m"), "update.beta1"},
               .label = "corrected m"});
  page.number(name + "v_corrected", COMPUTED(corrected(step.v, kBeta2, t)),
              {.digits = 3,
               .formula = "$v / (1 - β_2^t)$",
               .inputs = {Ref(name + "v"), "update.beta2"},
               .label = "corrected v",
               .print = Print::scientific});
  page.number(name + "step", COMPUTED(step_of(step, t)),
              {.digits = 6,
               .formula = "$rate * m_c / (√v_c + 10^{-8})$",
               .inputs = {Ref(name + "m_corrected"), Ref(name + "v_corrected"), "update.rate"},
               .label = "step"});
  page.number(name + "decay", COMPUTED(kRate * kDecay * step.before),
              {.digits = 6,
               .formula = "$rate * decay * weight$",
               .inputs = {"update.rate", "update.decay", Ref(name + "before")},
               .label = "weight decay"});
  page.number(name + "by_hand", COMPUTED(step.before - kRate * kDecay * step.before - step_of(step, t)),
              {.digits = 6,
               .formula = "weight - decay - step",
               .inputs = {Ref(name + "before"), Ref(name + "decay"), Ref(name + "step")},
               .label = "weight after, by hand"});
  page.number(name + "after", training.of(step.after),
              {.digits = 6,
               .formula = "the weight after the engine's step",
               .inputs = {Ref(name + "by_hand")},
               .label = "weight after",
               .engine = kUpdate});
}

void write_out(Page& page, const Computed<Training>& training) {
  add_settings(page);
  Table table{.caption = "the same weight in three steps", .columns = {""}};
  for (std::size_t t = 1; t <= kWritten; ++t) {
    add_step(page, training, t);
    table.columns.push_back(str("$t = ", t, "$"));
  }
  page.paragraph(
      "AdamW at the learning rate {update.rate}, with $β_1$ = {update.beta1}, $β_2$ = {update.beta2} and a "
      "weight decay of {update.decay}, written out for the first step:");
  page.list({"$m = β_1 * 0 + (1 - β_1) * g$ = {update.1.m}, the running mean of the gradients",
             "$v = β_2 * 0 + (1 - β_2) * g^2$ = {update.1.v}, the running mean of their squares",
             "both began at 0 and are too small, so they are divided by $1 - β^{t}$: $m_c$ = "
             "{update.1.m_corrected} and $v_c$ = {update.1.v_corrected}, the gradient itself and its square",
             "decay: $rate * decay * weight$ = {update.1.decay}",
             "step: $rate * m_c / (√v_c + 10^{-8})$ = {update.1.step}",
             "{update.1.before} - decay - step = {update.1.by_hand}; the engine's weight is now "
             "{update.1.after}"});
  for (const auto& [name, label] :
       std::vector<std::pair<std::string, std::string>>{{"before", "weight before"},
                                                        {"gradient", "gradient $g$"},
                                                        {"m", "$m$"},
                                                        {"v", "$v$"},
                                                        {"m_corrected", "$m_c$"},
                                                        {"v_corrected", "$v_c$"},
                                                        {"decay", "decay"},
                                                        {"step", "step"},
                                                        {"after", "weight after"}}) {
    std::vector<Cell> row = {Cell::marked(label)};
    for (std::size_t t = 1; t <= kWritten; ++t) row.push_back(Ref(str("update.", t, ".", name)));
    table.rows.push_back(row);
  }
  page.add(table);
  page.paragraph(
      "After the first gradient, $m_c / √v_c$ is +1 or -1. So the first step of *every* weight is as long as "
      "the learning rate, whether its gradient is large or small. Later steps are shorter where gradients "
      "disagree with each other.");
}

// ---- The loss after the step ----

// How the loss should change if it were a straight line: each weight's gradient times its change.
double predicted_change(const OnePass& pass, const std::vector<float>& moved) {
  double sum = 0;
  for (std::size_t i = 0; i < moved.size(); ++i) {
    sum += static_cast<double>(pass.gradients[i]) *
           (static_cast<double>(moved[i]) - static_cast<double>(pass.weights[i]));
  }
  return sum;
}

Series series_of(const std::string& name, const std::vector<double>& losses, Look look) {
  Series series{.name = name, .x = {}, .y = losses, .look = look};
  for (std::size_t i = 0; i < losses.size(); ++i) series.x.push_back(static_cast<double>(i));
  return series;
}

// ---- What a break does ----

void add_pair(Page& page, std::vector<Cell>& row, const std::string& name, const std::string& what,
              const Computed<double>& right, const Computed<double>& wrong, const std::string& broken) {
  row.push_back(page.number(name, right, {.formula = what, .label = what}));
  row.push_back(
      page.number("broken." + name, wrong, {.formula = what + ", " + broken, .label = what + ", " + broken}));
}

// Compares models of several depths with and without the broken part: deep models need residual connections
// most.
void by_depth(Page& page, const LessonSettings& settings) {
  const std::string wrong = str("`", settings.broken, "`");
  Table table{.caption = "the same model with more layers",
              .columns = {"layers", "gradient at the start", wrong, "loss after 100 steps", wrong}};
  for (const std::int64_t layers : {1, 2, 4, 8, 16}) {
    Recipe right{.seed = settings.seed, .layers = layers}, broken = recipe_of(settings);
    broken.layers = layers;
    std::vector<Cell> row = {std::to_string(layers)};
    add_pair(page, row, str("depth.", layers, ".arriving"), "the length of the gradient of $x_0$",
             COMPUTED(arriving(right)), COMPUTED(arriving(broken)), settings.broken);
    add_pair(page, row, str("depth.", layers, ".loss"), "the loss after 100 steps",
             COMPUTED(losses_of(right).back()), COMPUTED(losses_of(broken).back()), settings.broken);
    table.rows.push_back(row);
  }
  page.paragraph(
      "A model with one layer that learns one sentence can do without this part, and may even be faster. "
      "Look at what happens to deeper models: how much of the gradient arrives at the first layer, and what "
      "they have learned after 100 steps.");
  page.add(table);
}

// Compares trainings from first weights of several sizes: with norms, a model depends less on the size of its
// weights.
void by_scale(Page& page, const LessonSettings& settings) {
  const std::string wrong = str("`", settings.broken, "`");
  Table table{.caption = "the same training from larger and smaller first weights",
              .columns = {"first weights times", "loss at the start", wrong, "loss after 100 steps", wrong}};
  for (const double scale : {0.5, 1.0, 2.0, 4.0, 8.0}) {
    Recipe right{.seed = settings.seed, .scale = scale}, broken = recipe_of(settings);
    broken.scale = scale;
    const auto good = COMPUTED(losses_of(right)), bad = COMPUTED(losses_of(broken));
    const std::string name = str("scale.", printed(scale, {.digits = 1}), ".");
    std::vector<Cell> row = {
        page.given(name + "scale", scale, {.digits = 1, .formula = "setting", .label = "factor"})};
    add_pair(page, row, name + "start", "the loss before the first step", good.at(0), bad.at(0),
             settings.broken);
    add_pair(page, row, name + "loss", "the loss after 100 steps", good.of(good.value.back()),
             bad.of(bad.value.back()), settings.broken);
    table.rows.push_back(row);
  }
  page.paragraph(
      "Where all numbers start at a good size, a model this small learns one sentence faster without norms. "
      "A norm brings every vector back to the same size, whatever happened before it. Look at what happens "
      "when the first weights are larger. (inf: the model gave a target a probability that is 0 in 32 bits, "
      "and after that nothing is a number any more.)");
  page.add(table);
}

// Compares trainings at several learning rates: without the correction, steps are too long. Whether this
// helps or harms depends on the rate.
void by_rate(Page& page, const LessonSettings& settings) {
  const std::string wrong = str("`", settings.broken, "`");
  Table table{.caption = "the same training at other learning rates",
              .columns = {"learning rate", "highest loss", wrong, "loss after 100 steps", wrong}};
  for (const double rate : {0.001, 0.01, 0.1, 0.3}) {
    Recipe right{.seed = settings.seed, .rate = rate}, broken = recipe_of(settings);
    broken.rate = rate;
    const auto good = COMPUTED(losses_of(right)), bad = COMPUTED(losses_of(broken));
    const std::string name = str("rate.", printed(rate, {.digits = 3}), ".");
    std::vector<Cell> row = {
        page.given(name + "rate", rate, {.digits = 3, .formula = "setting", .label = "learning rate"})};
    const auto highest = [](const std::vector<double>& losses) {
      return *std::max_element(losses.begin(), losses.end());
    };
    add_pair(page, row, name + "highest", "the highest loss", good.of(highest(good.value)),
             bad.of(highest(bad.value)), settings.broken);
    add_pair(page, row, name + "loss", "the loss after 100 steps", good.of(good.value.back()),
             bad.of(bad.value.back()), settings.broken);
    table.rows.push_back(row);
  }
  page.number("broken.first_step", COMPUTED((1 - kBeta1) / std::sqrt(1 - kBeta2)),
              {.digits = 2,
               .formula = "$(1 - β_1) / √(1 - β_2)$",
               .inputs = {"update.beta1", "update.beta2"},
               .label = "first step, in learning rates"});
  page.paragraph(
      "Without the correction, $v$ is further from its true size than $m$: the first step is "
      "{broken.first_step} times as long as the learning rate, and later ones are even longer. At a timid "
      "rate this looks like an advantage. At a rate that is already high, it is too much.");
  page.add(table);
}

void overlay(Page& page, const LessonSettings& settings, LineChart& chart) {
  const auto wrong = COMPUTED(losses_of(recipe_of(settings)));
  chart.series.push_back(series_of(settings.broken, wrong.value, Look::wrong));
  for (const std::int64_t step : {std::int64_t{0}, std::int64_t{1}, kSteps}) {
    page.number(str("broken.loss.", step), wrong.at(step),
                {.formula = str("the loss after ", step, " steps, ", settings.broken),
                 .label = "loss, " + settings.broken});
  }
  page.add(chart);
  page.paragraph(str("With `--break=", settings.broken,
                     "`, the loss starts at {broken.loss.0}, is {broken.loss.1} after one step and "
                     "{broken.loss.100} after 100 steps."));
  if (settings.breaks("no-residual")) by_depth(page, settings);
  if (settings.breaks("no-layernorm")) by_scale(page, settings);
  if (settings.breaks("no-bias-correction")) by_rate(page, settings);
}

void losses_after(Page& page, const OnePass& pass, const Computed<Training>& training,
                  const LessonSettings& settings) {
  page.heading("The loss after the step");
  for (const std::int64_t step : {std::int64_t{0}, std::int64_t{1}, kSteps}) {
    page.number(str("loss.", step), training.of(training.value.losses[static_cast<std::size_t>(step)]),
                {.formula = str("the mean loss after ", step, " steps"),
                 .inputs = step == 0 ? std::vector<Ref>{"loss"} : std::vector<Ref>{},
                 .label = str("loss after ", step, " steps"),
                 .engine = "training_step in apps/run/training_step.cc"});
  }
  const Ref predicted = page.number(
      "change.predicted", COMPUTED(predicted_change(pass, training.value.moved)),
      {.formula = "the sum over all weights of gradient times change", .label = "predicted change"});
  page.number("change.real", COMPUTED(training.value.losses[1] - training.value.losses[0]),
              {.formula = "loss after the step - loss before it",
               .inputs = {"loss.0", "loss.1", predicted},
               .label = "real change"});
  page.paragraph(
      "All weights have moved, each by its own gradient. The loss was {loss.0}; now it is {loss.1}. The "
      "gradients promised this: each weight's gradient times its change, added up, is {change.predicted}, "
      "and the loss changed by {change.real}. The difference is the curvature that a gradient does not see.");
  page.paragraph(
      "And again, and again: after 100 such steps the loss of the sentence is {loss.100}. Training a large "
      "model is this page, with more numbers.");
  LineChart chart{.id = "loss.chart",
                  .title = "The loss of the sentence, step after step",
                  .x_label = "step",
                  .y_label = "loss",
                  .series = {series_of("loss", training.value.losses, Look::main)},
                  .y_min = 0};
  if (!settings.broken.empty()) {
    overlay(page, settings, chart);
    return;
  }
  page.add(chart);
  page.paragraph(
      "`--break=no-residual`, `--break=no-layernorm` and `--break=no-bias-correction` draw this curve "
      "without one part of the step.");
}

}  // namespace

Parts parts_of(const LessonSettings& settings) {
  return {.residual = !settings.breaks("no-residual"), .layernorm = !settings.breaks("no-layernorm")};
}

void update(Page& page, const OnePass& pass, const LessonSettings& settings) {
  const auto training = COMPUTED(train(settings.seed));
  two_uses(page, pass);
  write_out(page, training);
  losses_after(page, pass, training, settings);
}

}  // namespace inkling
