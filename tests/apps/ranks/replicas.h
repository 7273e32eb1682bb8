// Whole training runs of several replicas, on ranks that are threads of the test's process.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <vector>

#include "nn/checkpoint.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/core/ranks/thread_ranks.h"
#include "tests/support.h"

namespace inkling::test {

// Six steps of four parts, with two validations and two checkpoints.
inline TrainSettings four_parts(const nlohmann::json& changes = nlohmann::json::object()) {
  nlohmann::json given = {{"replicas", 4},
                          {"batch_size", 8},
                          {"grad_accum", 2},
                          {"steps", 6},
                          {"val_data", "tests/goldens/curve_tokens.bin"},
                          {"val_every", 3},
                          {"val_batches", 2},
                          {"sample_every", 6},
                          {"save_every", 3}};
  given.merge_patch(changes);
  return tiny_settings(given);
}

// Starts or resumes a run on `count` ranks. The run stops after `steps` steps.
inline void train_on(int count, const std::string& path, const TrainSettings& settings, bool resume = false,
                     std::int64_t steps = 1000) {
  const CapturedErrors quiet;
  on_ranks(count, [&](Ranks& ranks) {
    std::optional<RunDirectory> directory;
    if (ranks.leads()) directory.emplace(path);
    Trainer trainer(settings, directory ? &*directory : nullptr, ranks);
    if (resume) {
      trainer.resume([](const std::string&) {});
    } else {
      trainer.start();
    }
    if (directory) directory->write_config(settings);
    trainer.run([&] { return trainer.step() >= steps; });
  });
}

// Trains on three ranks with weights that are so large that the loss is NaN. Checks that all ranks stop at
// step 1, with this message.
inline void check_all_diverge(const nlohmann::json& changes, const std::string& message) {
  const TemporaryDirectory temporary;
  GPT2 model(four_parts().model);
  model.initialise(1);
  model.parameters().values_of(kWpe)[3] = 3e38f;
  for (float& w : model.parameters().values_of(kLn1w)) w = 3e38f;
  save_model(temporary / "model.bin", model.config(), model.parameters().values());
  nlohmann::json given = {{"init", temporary / "model.bin"}, {"val_every", 0}};
  given.merge_patch(changes);
  const TrainSettings settings = four_parts(given);
  std::atomic<int> diverged = 0;
  const CapturedErrors quiet;
  on_ranks(3, [&](Ranks& ranks) {
    std::optional<RunDirectory> directory;
    if (ranks.leads()) directory.emplace(temporary / "run");
    Trainer trainer(settings, directory ? &*directory : nullptr, ranks);
    trainer.start();
    try {
      trainer.run(never);
    } catch (const Diverged& error) {
      const std::string what = error.what();
      diverged += what.find(message) != what.npos && what.find("at step 1") != what.npos;
    }
  });
  CHECK(diverged == 3);
}

const std::vector<std::string> kFiles = {"model.bin",
                                         "samples/step_00000006.txt",
                                         "checkpoints/step_00000006/manifest.json",
                                         "checkpoints/step_00000006/optimizer.bin",
                                         "checkpoints/step_00000006/state.json",
                                         "checkpoints/step_00000003/manifest.json"};

}  // namespace inkling::test
