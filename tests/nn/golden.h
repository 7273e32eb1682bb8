// PyTorch's answers: a checkpoint, and what it gives for one batch (llm.c's debug state format).
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include "core/binary_file.h"
#include "nn/checkpoint.h"
#include "tests/support.h"

namespace inkling::test {

struct DebugState {
  std::int64_t B, T;
  std::vector<std::int32_t> x, y;  // (B, T); a target of -1 is masked
  std::vector<float> logits;       // (B, T, V)
  float loss;
  std::vector<float> gradients;  // all 16 tensors, flat

  DebugState(const std::string& path, const GPT2Config& config) {
    const FileView file(path);
    ByteReader in(file);
    const Header h = read_header(in, 20240327, "debug state");
    B = h[2], T = h[3];
    const auto tokens = static_cast<std::size_t>(B * T);
    x.resize(tokens), y.resize(tokens), logits.resize(tokens * static_cast<std::size_t>(config.vocab_size));
    gradients.resize(static_cast<std::size_t>(config.parameter_count()));
    in.read_into(x.data(), B * T, "inputs");
    in.read_into(y.data(), B * T, "targets");
    in.read_into(logits.data(), std::ssize(logits), "logits");
    loss = in.read<float>("loss");
    in.read_into(gradients.data(), std::ssize(gradients), "gradients");
    in.expect_end("debug state");
  }
  Tensor inputs() { return Tensor(x.data(), {B, T}); }
  Tensor targets() { return Tensor(y.data(), {B, T}); }
};

// The goldens of a folder: ours, and those beside the checkout where they are.
struct GoldenSet {
  std::string model, after10, state, trajectory;
};
inline std::vector<GoldenSet> golden_sets() {
  std::vector<GoldenSet> sets;
  const std::string ours = "tests/goldens/small";
  sets.push_back(
      {ours + ".bin", ours + "_after10.bin", ours + "_debug_state.bin", ours + "_trajectory.json"});
  sets.push_back({ours + ".bin", "", ours + "_masked_debug_state.bin", ""});
  if (std::ifstream("../shared/golden/tiny.bin")) {
    for (const char* name : {"tiny", "masked"}) {
      const std::string base = std::string("../shared/golden/") + name;
      sets.push_back(
          {base + ".bin", base + "_after10.bin", base + "_debug_state.bin", base + "_trajectory.json"});
    }
  } else {
    WARN("../shared/golden is not here: its part is skipped, the goldens in tests/goldens prove the same");
  }
  return sets;
}

}  // namespace inkling::test
