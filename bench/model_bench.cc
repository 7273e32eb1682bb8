// Whole steps: training GPT-2 124M and the default story model, and generating a token.
#include "bench/data.h"
#include "bench/harness.h"
#include "bench/peers.h"
#include "bench/rows.h"
#include "bench/training_step.h"
#include "core/error.h"

namespace inkling::bench {

namespace {

void add_training(const std::string& name, const GPT2Config& config, std::int64_t B, std::int64_t T) {
  const double flops = config.training_flops_per_token(T) * static_cast<double>(B * T);
  for (const Precision precision : {Precision::f32, Precision::bf16}) {
    const Work work{.flops = flops, .bf16 = precision == Precision::bf16};
    add_row(str("train/", name, "/B", B, "_T", T, "/", inkling::name(precision)), work, [=] {
      const auto training = std::make_shared<TrainingStep>(config, B, T, precision);
      return Candidates{[training] { training->run(); }, torch_peers("train", config, B, T, precision)};
    });
  }
}

void add_decode(const std::string& name, const GPT2Config& config) {
  // A token reads every weight once: all but wpe, of which it is one row, and wte once, for the head. What is
  // no matrix is f32 in any precision.
  const auto weights = static_cast<double>(config.parameter_count() - config.max_seq_len * config.channels);
  const std::int64_t C = config.channels;
  const auto matrices = static_cast<double>((config.padded_vocab_size() + 12 * config.layers * C) * C);
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const double size = precision == Precision::f32 ? 4 : precision == Precision::bf16 ? 2 : 1;
    const Work work{.bytes = size * matrices + 4 * (weights - matrices), .reads_only = true};
    add_row(str("decode/", name, "/B1/", inkling::name(precision)), work, [=] {
      const auto model = std::make_shared<GPT2>(config);
      model->initialise(1);
      model->set_precision(precision, Recording::off);
      const auto cache = std::make_shared<KvCache>(config);
      const auto tape = std::make_shared<Tape>(Recording::off);
      const auto token = [=] {
        std::int32_t id = 17;
        if (cache->length() + 1 > 256) cache->clear();
        tape->clear();
        model->next_logits(*tape, Tensor(&id, {1, 1}), std::span(cache.get(), 1));
      };
      if (precision == Precision::int8) return Candidates{token, {}};
      return Candidates{token, torch_peers("generate", config, 1, 1, precision)};
    });
  }
}

}  // namespace

void add_model_rows() {
  const GPT2Config gpt2 = GPT2Config::named("gpt2:d12");
  add_training("gpt2_124M", gpt2, 4, 64);
  add_training("gpt2_124M", gpt2, 4, 256);
  add_training("gpt2_124M", gpt2, 4, 1024);
  // what `make train` trains
  add_training("stories", {.max_seq_len = 128, .vocab_size = 498, .layers = 2, .heads = 4, .channels = 128},
               8, 128);
  add_decode("gpt2_124M", gpt2);
}

}  // namespace inkling::bench
