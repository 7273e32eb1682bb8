// The readers that are fed with bytes from anywhere: by libFuzzer (make fuzz), and by
// tests/fuzz/replay_test.cc with the seeds and with every input that once did harm.
//
// A target gives the bytes to one reader and uses what it reads. The reader may throw Error. Everything else
// that it may do with wrong bytes is a bug: another exception, a crash, undefined behaviour, much memory or
// much time.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/error.h"

namespace inkling::fuzz {

using Bytes = std::span<const std::byte>;
using Target = void (*)(Bytes);

void shard(Bytes bytes);         // a token shard, then windows and batches of it
void model(Bytes bytes);         // a model checkpoint, then a few tokens generated with it
void tokenizer(Bytes bytes);     // a tokenizer, then text encoded and decoded with it
void optimizer(Bytes bytes);     // optimizer.bin, of AdamW and of SGD
void config(Bytes bytes);        // config.json of a run that is resumed
void metrics(Bytes bytes);       // metrics.jsonl, and the chart of its losses
void state(Bytes bytes);         // state.json, then batches from that position
void manifest(Bytes bytes);      // manifest.json of a checkpoint
void command_line(Bytes bytes);  // the words of a command line, one a line
void settings(Bytes bytes);      // values of flags of `train`
void grammar(Bytes bytes);       // a grammar in its notation

struct NamedTarget {
  const char* name;
  Target target;
};
inline constexpr NamedTarget kTargets[] = {
    {"shard", shard},         {"model", model},       {"tokenizer", tokenizer},
    {"optimizer", optimizer}, {"config", config},     {"metrics", metrics},
    {"state", state},         {"manifest", manifest}, {"command_line", command_line},
    {"settings", settings},   {"grammar", grammar},
};

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A path for a target's files. The directory goes when the process ends.
std::string scratch(const std::string& name);
// Writes the bytes to scratch(name).
std::string put(const std::string& name, Bytes bytes);

// What must hold of everything that was read.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// Calls `read`, which may throw Error. False if it did.
template <class F>
bool accepted(F&& read) {
  try {
    read();
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace inkling::fuzz
