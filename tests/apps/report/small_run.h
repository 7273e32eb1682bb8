// A run's directory with known numbers, for tests of reports.
#pragma once

#include <filesystem>
#include <string>

#include "apps/report/report.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/support.h"

namespace inkling::test {

constexpr const char* kHostileText = "</script><img src=x onerror=1>";

// A run of 30 steps with two validations and a sample, whose files are written here. The norms belong to a
// model with one layer.
inline void write_small_run(const std::string& path, const nlohmann::json& changes = nlohmann::json::object(),
                            bool with_norms = false) {
  std::filesystem::create_directories(path + "/samples");
  nlohmann::json settings = tiny_settings({{"steps", 30}});
  if (!changes.is_null()) settings.merge_patch(changes);
  write_json(path + "/config.json", settings);
  std::string lines =
      R"({"step":0,"val_loss":5.0,"val_perplexity":148.4,"min_over_rows":1.5,"min_over_stories":1.4})"
      "\n";
  for (int step = 1; step <= 30; ++step) {
    lines += str(R"({"step":)", step, R"(,"loss":)", 5 - 0.1 * step,
                 R"(,"grad_norm":1.25,"lr":0.01,"ms":500,"tokens_per_s":64})", "\n");
  }
  lines += R"({"step":30,"val_loss":2.5,"val_perplexity":12.18,"min_over_rows":1.5,"min_over_stories":1.4)";
  if (with_norms)
    lines += R"(,"weight_norm_embeddings":8,"weight_norm_layer_1":4,"weight_norm_last_layernorm":2.5)"
             R"(,"grad_norm_embeddings":0.5,"grad_norm_layer_1":0.25,"grad_norm_last_layernorm":0.125)";
  lines += "}\n";
  write_text(path + "/metrics.jsonl", lines);
  write_text(path + "/samples/step_00000030.txt",
             std::string("He said ") + kHostileText + "\x1b[2J\xff `a* $b {c\n");
}

}  // namespace inkling::test
