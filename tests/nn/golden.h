// Files with PyTorch's results: a checkpoint, and its logits, loss and gradients for one batch (in llm.c's
// debug state format).
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "core/binary_file.h"
#include "nn/checkpoint.h"
#include "nn/file_header.h"
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

// The files with PyTorch's results for one model: one batch, and ten steps of AdamW on this batch. An empty
// path means that there is no such file.
struct GoldenSet {
  std::string model, state, after10, trajectory;
};
inline GoldenSet golden_set(const std::string& base) {
  return {base + ".bin", base + "_debug_state.bin", base + "_after10.bin", base + "_trajectory.json"};
}

// The sets in tests/goldens, and the sets in the folder INKLING_GOLDENS, if this variable is set (for example
// for a larger model). A set there has at least the files NAME.bin and NAME_debug_state.bin.
inline std::vector<GoldenSet> golden_sets() {
  const std::string ours = "tests/goldens/small", end = "_debug_state.bin";
  std::vector<GoldenSet> sets = {golden_set(ours), {ours + ".bin", ours + "_masked" + end, "", ""}};
  const char* folder = std::getenv("INKLING_GOLDENS");
  if (folder == nullptr) return sets;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(end)) continue;
    const GoldenSet set = golden_set(path.substr(0, path.size() - end.size()));
    if (std::filesystem::exists(set.model)) sets.push_back(set);
  }
  return sets;
}

}  // namespace inkling::test
