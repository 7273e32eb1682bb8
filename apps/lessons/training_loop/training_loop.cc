// Lesson 6: predict, measure the error, find out how much each weight contributed to it, adjust the weights;
// again and again.
#include "apps/lessons/training_loop/training_loop.h"

#include "apps/lessons/story_run.h"
#include "core/tape.h"
#include "ops/softmax.h"
#include "optim/sgd.h"

namespace inkling {

using namespace page;

void run_loop(GPT2& model, const MicroBatch& batch, const LoopSettings& loop,
              const std::function<void(std::int64_t done)>& look) {
  Parameters& weights = model.parameters();
  Sgd optimizer(segments_of(weights.table()), {.momentum = 0});
  Tape tape;
  look(0);
  for (std::int64_t i = 1; i <= loop.iterations; ++i) {
    const bool fresh = i == 1 || loop.reset_gradients;
    tape.clear();
    const Tensor loss = model.loss(tape, batch.ids, batch.targets,
                                   fresh ? LeafGradient::overwrite : LeafGradient::accumulate);
    tape.backward(loss);
    optimizer.step(weights.values().data(), weights.gradients().data(), i, static_cast<float>(loop.lr), 1.0f);
    look(i);
  }
}

WordProbabilities word_probabilities(GPT2& model, std::span<const std::int32_t> ids) {
  WordProbabilities all;
  for (std::vector<float>& logits : logits_after_each(model, {ids.begin(), ids.end()})) {
    Tape tape(Recording::off);
    const Tensor p = softmax(tape, Tensor(logits.data(), {1, std::ssize(logits)}));
    all.emplace_back(p.f32(), p.f32() + p.numel());
  }
  return all;
}

namespace {

void the_loop(Page& page) {
  page.heading("Four steps, and again");
  page.paragraph(
      "All training is one loop. The documents write it with four steps; these are the functions of the "
      "engine that do them, for this page and for every GPT that it trains:");
  page.add(
      Table{.caption = "",
            .columns = {"step", "in words", "in the engine"},
            .rows = {{"forward pass", "predict the next token at every position", "GPT2::loss, nn/gpt2.cc"},
                     {"loss", "compare with the true next token", "ops/linear_cross_entropy.cc"},
                     {"backward pass", "a gradient for every weight", "Tape::backward, core/tape.cc"},
                     {"update", "move every weight against its gradient", "Sgd::step, optim/sgd.cc"}}});
  page.paragraph(
      "The forward pass needs the weights, the loss needs the predictions, the backward pass needs the loss, "
      "and the update needs the gradients: so the order is fixed. The gradients of the last round are "
      "forgotten before the next one begins. Chat models, base models, models of any size learn in this "
      "loop; what differs is the text, the mask (lesson 3) and the optimiser (lesson 5).");
}

void write(Page& page, const LessonSettings& settings) {
  page.lede(
      "A model begins with random numbers. A loop of four steps turns them into a model that knows a "
      "sentence, and then one that tells stories. Here the loop runs while you wait.");
  the_loop(page);
  learn_the_sentence(page, settings);
  which_words_first(page, settings);
  learn_stories(page, settings);
  warm_up(page, settings);
  clipping(page, settings);
}

}  // namespace

Lesson training_loop() {
  return {6,
          "The training loop",
          "a sentence and then stories, learned from random weights, and what keeps the loop stable",
          {{"no-zero-grad", "let the gradients of all iterations add up"},
           {"no-warmup", "begin with the full learning rate"},
           {"no-clipping", "follow every gradient, however long it is"}},
          write};
}

}  // namespace inkling
