// The fuzz targets. libFuzzer (make fuzz) calls them with random bytes. tests/fuzz/replay_test.cc calls them
// with the seeds and with every input that once showed a bug.
//
// A target gives the bytes to one reader and uses the result. The reader may throw Error. Everything else is
// a bug: another exception, a crash, undefined behaviour, too much memory or too much time.
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

void shard(Bytes bytes);          // a token shard, and then its windows and batches
void token_flags(Bytes bytes);    // a loss mask and a file of document starts
void conversations(Bytes bytes);  // JSONL of conversations and documents, then their tokens
void model(Bytes bytes);          // a model checkpoint, then a few tokens generated with it
void tokenizer(Bytes bytes);      // a tokenizer, then text encoded and decoded with it
void optimizer(Bytes bytes);      // optimizer.bin for AdamW and for SGD
void config(Bytes bytes);         // config.json of a run that is resumed
void metrics(Bytes bytes);        // metrics.jsonl, and the chart of its losses
void state(Bytes bytes);          // state.json, then batches from that position
void manifest(Bytes bytes);       // manifest.json of a checkpoint
void command_line(Bytes bytes);   // the arguments of a command line, one on each line
void settings(Bytes bytes);       // flags of `train` and their values
void grammar(Bytes bytes);        // a grammar as text
void safetensors(Bytes bytes);    // a safetensors file, then a conversion of its model
void huggingface(Bytes bytes);    // config.json and model.safetensors.index.json of Hugging Face
void choices(Bytes bytes);        // multiple-choice questions
void merges(Bytes bytes);         // vocab.json and merges.txt, then text encoded with them
void documents(Bytes bytes);      // a text of documents, read in parts of two sizes

struct NamedTarget {
  const char* name;
  Target target;
};
inline constexpr NamedTarget kTargets[] = {
    {"shard", shard},       {"token_flags", token_flags},   {"conversations", conversations},
    {"model", model},       {"tokenizer", tokenizer},       {"optimizer", optimizer},
    {"config", config},     {"metrics", metrics},           {"state", state},
    {"manifest", manifest}, {"command_line", command_line}, {"settings", settings},
    {"grammar", grammar},   {"safetensors", safetensors},   {"huggingface", huggingface},
    {"choices", choices},   {"merges", merges},           {"documents", documents},
};

inline std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The path of a target's file in a temporary directory, which is removed when the process ends.
std::string scratch(const std::string& name);
// Writes the bytes to scratch(name).
std::string put(const std::string& name, Bytes bytes);

// Throws an exception that is not an Error, so the fuzzer reports a bug, unless `holds` is true.
inline void require(bool holds, const char* what) {
  if (!holds) throw std::logic_error(what);
}

// Calls `read`, which may throw Error. Returns false if it did.
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
