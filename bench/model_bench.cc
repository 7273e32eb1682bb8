// Complete steps: training GPT-2 124M and the default story model, and generating a token.
#include <memory>

#include "bench/harness.h"
#include "bench/models.h"
#include "bench/peers.h"
#include "bench/rows.h"
#include "bench/training_step.h"
#include "core/error.h"
#include "nn/kv_cache.h"

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

// The next token of B texts that have kPositions tokens each. It reads every weight once, except that it
// reads only one row of wpe. Parameters that are not matrices are f32 in every precision. It also reads the
// keys and values of each text.
void add_decode(const std::string& name, const GPT2Config& config, std::int64_t B) {
  constexpr std::int64_t kPositions = 256;
  const auto weights = static_cast<double>(config.parameter_count() - config.max_seq_len * config.channels);
  const std::int64_t C = config.channels;
  const auto matrices = static_cast<double>(packed_weights(config));
  const auto remembered = static_cast<double>(B * config.layers * 2 * kPositions * C);
  for (const Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    const double size = precision == Precision::f32 ? 4 : precision == Precision::bf16 ? 2 : 1;
    const Work work{.bytes = size * matrices + 4 * (weights - matrices + remembered), .reads_only = true};
    add_row(str("decode/", name, "/B", B, "/", inkling::name(precision)), work, [=] {
      const auto model = std::make_shared<GPT2>(config);
      model->initialise(1);
      model->set_precision(precision, Recording::off);
      const auto tape = std::make_shared<Tape>(Recording::off);
      const auto caches = std::make_shared<std::vector<KvCache>>();
      std::vector<std::int32_t> ids(kPositions, 17);
      for (std::int64_t b = 0; b < B; ++b) {
        KvCache& cache = caches->emplace_back(config);
        model->next_logits(*tape, Tensor(ids.data(), {1, kPositions}), std::span(&cache, 1));
      }
      const auto token = [=]() mutable {
        for (KvCache& cache : *caches) cache.advance(kPositions - cache.length());
        tape->clear();
        model->next_logits(*tape, Tensor(ids.data(), {B, 1}), *caches);
      };
      if (B > 1 || precision == Precision::int8) return Candidates{token, {}};
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
  add_training("stories", story_model(), 8, 128);
  add_decode("gpt2_124M", gpt2, 1);
  add_decode("gpt2_124M", gpt2, 8);
}

}  // namespace inkling::bench
