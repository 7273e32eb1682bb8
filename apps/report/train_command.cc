#include "apps/report/train_command.h"

#include <nlohmann/json.hpp>

namespace inkling::report {

using nlohmann::json;

namespace {

// The settings that become a flag with a value, in the order of the command line. In a flag's name, _ becomes
// -.
constexpr const char* kFlags[] = {"data",         "val_data",
                                  "tokenizer",    "init",
                                  "batch_size",   "replicas",
                                  "seq_len",      "grad_accum",
                                  "steps",        "optimizer",
                                  "lr",           "min_lr",
                                  "warmup",       "schedule",
                                  "weight_decay", "beta1",
                                  "beta2",        "eps",
                                  "momentum",     "grad_clip",
                                  "local_steps",  "local_steps_dtype",
                                  "outer_lr",     "outer_momentum",
                                  "precision",    "seed",
                                  "val_every",    "val_batches",
                                  "sample_every", "save_every"};
constexpr const char* kModelFlags[] = {"layers", "heads", "channels", "max_seq_len", "vocab_size"};
constexpr const char* kSwitches[] = {"shuffle", "document_mask", "loss_mask", "recompute"};

std::string dashed(std::string key) {
  for (char& c : key) c = c == '_' ? '-' : c;
  return key;
}

std::string text_of(const json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// `inkling train` refuses flags without an effect.
bool has_effect(const TrainSettings& s, const std::string& key) {
  if (key == "min_lr") return s.schedule != "constant";
  if (key == "momentum") return s.optimizer == "sgd";
  if (key == "local_steps_dtype" || key == "outer_lr" || key == "outer_momentum") return s.local_steps > 0;
  if (key == "beta1" || key == "beta2" || key == "eps") return s.optimizer == "adamw";
  return true;
}

}  // namespace

std::vector<std::string> train_words(const TrainSettings& s, const std::string& out) {
  std::vector<std::string> words = {"--out", out};
  const json settings = s;
  const auto add = [&](const std::string& key, const json& value) {
    if (value == "" || !has_effect(s, key)) return;
    words.push_back("--" + dashed(key));
    words.push_back(text_of(value));
  };
  for (const char* key : kFlags) add(key, settings.at(key));
  if (s.init.empty()) {
    for (const char* key : kModelFlags) add(key, settings.at("model").at(key));
  }
  for (const std::string key : kSwitches) {
    words.push_back((settings.at(key).get<bool>() ? "--" : "--no-") + dashed(key));
  }
  return words;
}

}  // namespace inkling::report
