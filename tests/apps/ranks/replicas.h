// Whole training runs of several replicas, on ranks that are threads of the test's process.
#pragma once

#include <optional>
#include <string>
#include <vector>

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

const std::vector<std::string> kFiles = {"model.bin",
                                         "samples/step_00000006.txt",
                                         "checkpoints/step_00000006/manifest.json",
                                         "checkpoints/step_00000006/optimizer.bin",
                                         "checkpoints/step_00000006/state.json",
                                         "checkpoints/step_00000003/manifest.json"};

}  // namespace inkling::test
