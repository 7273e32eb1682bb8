// Lesson 8: one training step of a GPT that is small enough to print.
#include "apps/lessons/one_step/one_step.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace inkling {

using namespace page;

namespace {

constexpr const char* kJourney = "Step-by-step journey";

double run_backward(Tape& tape, const Tensor& loss) {
  const auto value = static_cast<double>(loss.item());
  tape.backward(loss);
  return value;
}

std::vector<float> first_weights(GPT2& model) {
  const std::span<const float> values = model.parameters().values();
  return {values.begin(), values.end()};
}

// The same loss and gradients from GPT2::loss, the model that `inkling train` trains.
struct Trained {
  double loss;
  std::vector<float> gradients;
};
Trained from_the_trainer(std::uint64_t seed) {
  GPT2 model = printable_model(seed);
  Sentence sentence;
  Tape tape;
  const MicroBatch batch = sentence.batch();
  const double loss = run_backward(tape, model.loss(tape, batch.ids, batch.targets));
  const std::span<const float> gradients = model.parameters().gradients();
  return {loss, {gradients.begin(), gradients.end()}};
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
  return largest;
}

// The weights without the padding of the word table.
std::int64_t weight_count() {
  const GPT2Config config = printable_model(0).config();
  return config.parameter_count() - (config.padded_vocab_size() - config.vocab_size) * config.channels;
}

void introduce(Page& page) {
  page.heading("The model and the sentence");
  page.number("weights", COMPUTED(weight_count()),
              {.formula = "the numbers of all 16 tensors", .label = "weights", .print = Print::count});
  page.paragraph(
      "A GPT with one layer, two heads and four channels has {weights} weights. Everything that a large GPT "
      "does in a training step, this one does, too. Only the sizes differ, and so it can be printed.");
  Tokens inputs{.caption = "The input, with ids, and below it what the model should say next", .tokens = {}};
  const Sentence sentence;
  for (std::size_t t = 0; t < sentence.ids.size(); ++t) {
    const auto id = static_cast<std::size_t>(sentence.ids[t]),
               target = static_cast<std::size_t>(sentence.targets[t]);
    inputs.tokens.push_back({str(kSentenceWords[id], " = ", id), 0.25, false,
                             str("next: ", kSentenceWords[target], " = ", target)});
  }
  page.add(inputs);
}

void compare_with_trainer(Page& page, const OnePass& pass, std::uint64_t seed) {
  page.heading("The same step as in training");
  const auto trained = COMPUTED(from_the_trainer(seed));
  page.number("trainer.loss", COMPUTED(std::abs(trained.value.loss - pass.loss)),
              {.digits = 1,
               .formula = "the distance of the losses",
               .inputs = {"loss"},
               .label = "distance of the losses",
               .engine = "loss in nn/gpt2.cc",
               .print = Print::scientific});
  page.number("trainer.gradient", COMPUTED(largest_difference(trained.value.gradients, pass.gradients)),
              {.digits = 1,
               .formula = "the largest distance of two gradients of the same weight",
               .label = "largest distance of a gradient",
               .engine = "loss in nn/gpt2.cc",
               .print = Print::scientific});
  page.paragraph(
      "This page computes the pass in the engine's smallest ops, so that no number stays hidden. "
      "`inkling train` runs larger ops, which never store the attention probabilities or all logits. Both "
      "give the same: the losses differ by {trainer.loss}, and no gradient of a weight differs by more than "
      "{trainer.gradient}, which is rounding.");
  page.correction(
      std::string(kJourney) + ", impact on model parameters",
      "after backpropagation, the weights of layer 1 have the gradients -0.05, 0.12, -0.08, ...",
      "nothing computes them: no formula there leads from its 36 weights to its logits. Here every one of "
      "the {weights} gradients comes from the tape.");
}

void write(Page& page, const LessonSettings& settings) {
  page.lede(
      "Predict, measure, compute gradients, adjust: one whole training step of a GPT, with every number in "
      "it.");
  const OnePass pass = one_pass_of(settings.seed, Parts{});
  introduce(page);
  activations(page, pass);
  weights(page, pass);
  update(page, pass, settings);
  compare_with_trainer(page, pass, settings.seed);
}

}  // namespace

OnePass one_pass_of(std::uint64_t seed, const Parts& parts) {
  GPT2 model = printable_model(seed);
  Sentence sentence;
  Tape tape;
  OnePass pass;
  const auto weights = COMPUTED(first_weights(model));
  const auto loss = COMPUTED(run_backward(tape, forward(tape, model, sentence, parts, &pass.seen)));
  const std::span<const float> gradients = model.parameters().gradients();
  pass.weights = weights.value;
  pass.gradients.assign(gradients.begin(), gradients.end());
  pass.loss = loss.value;
  pass.weights_source = weights.source;
  pass.backward_source = loss.source;
  return pass;
}

Lesson one_step() {
  return {8,
          "One step of a GPT",
          "ids, embeddings, attention, logits, loss, every gradient, and AdamW's update, number by number",
          {{"no-residual", "without the residual connections"},
           {"no-layernorm", "without the three layer norms"},
           {"no-bias-correction", "AdamW without the correction of m and v"}},
          write};
}

}  // namespace inkling
