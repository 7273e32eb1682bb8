// A training run from the words of a command line. It runs in the test's process and is small enough for a
// test.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/run/trainer.h"
#include "apps/text/shard.h"
#include "nn/checkpoint.h"
#include "tests/apps/command_line.h"
#include "tests/temporary_directory.h"

namespace inkling::test {

constexpr std::int64_t kTinyB = 2, kTinyT = 8;
constexpr std::uint64_t kTinySeed = 3;
constexpr GPT2Config kTinyModel{
    .max_seq_len = kTinyT, .vocab_size = 131, .layers = 1, .heads = 2, .channels = 16};
const std::string kTinyShard = "tests/goldens/curve_tokens.bin";

// The words of a command line: `flags`, and the tiny run's default flags that are not in `flags`.
inline Words tiny_words(const Words& flags) {
  Words words = flags;
  for (const auto& [flag, value] : {std::pair{"--data", kTinyShard.c_str()},
                                    {"--vocab-size", "131"},
                                    {"--layers", "1"},
                                    {"--heads", "2"},
                                    {"--channels", "16"},
                                    {"--max-seq-len", "8"},
                                    {"--seq-len", "8"},
                                    {"--batch-size", "2"},
                                    {"--seed", "3"},
                                    {"--precision", "f32"},
                                    {"--val-every", "0"},
                                    {"--sample-every", "0"},
                                    {"--save-every", "0"}}) {
    if (std::find(flags.begin(), flags.end(), flag) == flags.end()) words = words + Words{flag, value};
  }
  return words;
}

class CommandRun {
 public:
  explicit CommandRun(const Words& flags) {
    const TrainSettings settings = resolve_words(tiny_words(flags));
    const Captured quiet(std::cerr);
    RunDirectory directory(file(""));
    Trainer trainer(settings, directory);
    trainer.start();
    trainer.run([] { return false; });
    metrics_ = directory.read_metrics();
  }

  std::string file(const std::string& name) const { return temporary_ / ("run/" + name); }
  const std::vector<nlohmann::json>& metrics() const { return metrics_; }
  std::vector<nlohmann::json> steps() const { return lines_with("loss"); }
  std::vector<nlohmann::json> validations() const { return lines_with("val_loss"); }
  GPT2 model() const { return load_model(file("model.bin")); }
  std::vector<float> weights() const {
    GPT2 result = model();
    return {result.parameters().values().begin(), result.parameters().values().end()};
  }

 private:
  std::vector<nlohmann::json> lines_with(const char* key) const {
    std::vector<nlohmann::json> lines;
    for (const nlohmann::json& line : metrics_) {
      if (line.contains(key)) lines.push_back(line);
    }
    return lines;
  }

  TemporaryDirectory temporary_;
  std::vector<nlohmann::json> metrics_;
};

// Batch k of the unshuffled shard: the B*T tokens that start at token k*B*T, and their targets, the next
// tokens.
class TinyBatch {
 public:
  explicit TinyBatch(std::int64_t k) : inputs_(kTinyB * kTinyT), targets_(kTinyB * kTinyT) {
    const Shard shard(kTinyShard);
    shard.copy(k * kTinyB * kTinyT, kTinyB * kTinyT, inputs_.data());
    shard.copy(k * kTinyB * kTinyT + 1, kTinyB * kTinyT, targets_.data());
  }
  Tensor ids() { return {inputs_.data(), {kTinyB, kTinyT}}; }
  Tensor targets() { return {targets_.data(), {kTinyB, kTinyT}}; }

 private:
  std::vector<std::int32_t> inputs_, targets_;
};

}  // namespace inkling::test
