// Whole steps: training GPT-2 124M and the default story model, and generating a token.
#include "bench/data.h"
#include "bench/harness.h"
#include "bench/rows.h"
#include "core/error.h"
#include "nn/gpt2.h"
#include "optim/adamw.h"
#include "optim/clip.h"

namespace inkling::bench {

namespace {

// One step as apps/run/trainer.cc takes it: forward, backward, norm, AdamW.
struct Training {
  GPT2 model;
  AdamW optimizer;
  Tape tape;
  std::vector<std::int32_t> inputs, targets;
  Shape shape;
  std::int64_t step = 0;

  Training(const GPT2Config& config, std::int64_t B, std::int64_t T)
      : model(config), optimizer(segments_of(model.parameters().table()), AdamWSettings{}), shape({B, T}) {
    model.initialise(1);
    Rng rng(2);
    for (std::int64_t i = 0; i < B * T; ++i) {
      inputs.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(config.vocab_size))));
      targets.push_back(static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(config.vocab_size))));
    }
  }
  void run() {
    tape.clear();
    const Tensor loss = model.loss(tape, Tensor(inputs.data(), shape), Tensor(targets.data(), shape));
    tape.backward(loss);
    const auto gradients = model.parameters().gradients();
    const double norm = global_norm(gradients.data(), std::ssize(gradients));
    optimizer.step(model.parameters().values().data(), gradients.data(), ++step, 1e-4f,
                   clip_factor(norm, 1.0));
  }
};

void add_training(const std::string& name, const GPT2Config& config, std::int64_t B, std::int64_t T) {
  const double flops = config.training_flops_per_token(T) * static_cast<double>(B * T);
  add_row(str("train/", name, "/B", B, "_T", T), {.flops = flops}, [=] {
    const auto training = std::make_shared<Training>(config, B, T);
    return Candidates{[training] { training->run(); }, {}};
  });
}

void add_decode(const std::string& name, const GPT2Config& config) {
  // A token reads every weight once: all but wpe, of which it is one row, and wte once, for the head.
  const double bytes =
      4.0 * static_cast<double>(config.parameter_count() - config.max_seq_len * config.channels);
  add_row("decode/" + name + "/B1", {.bytes = bytes, .reads_only = true}, [=] {
    const auto model = std::make_shared<GPT2>(config);
    model->initialise(1);
    const auto cache = std::make_shared<KvCache>(config, 1);
    const auto tape = std::make_shared<Tape>(Recording::off);
    return Candidates{[=] {
                        std::int32_t id = 17;
                        if (cache->length() + 1 > 256) cache->clear();
                        tape->clear();
                        model->next_logits(*tape, Tensor(&id, {1, 1}), *cache);
                      },
                      {}};
  });
}

}  // namespace

void add_model_rows() {
  const GPT2Config gpt2 = GPT2Config::named("gpt2:d12");
  add_training("gpt2_124M", gpt2, 4, 64);
  add_training("gpt2_124M", gpt2, 4, 256);
  add_training("gpt2_124M", gpt2, 4, 1024);
  add_training("stories", {.max_seq_len = 128, .vocab_size = 400, .layers = 4, .heads = 4, .channels = 128},
               32, 128);
  add_decode("gpt2_124M", gpt2);
}

}  // namespace inkling::bench
