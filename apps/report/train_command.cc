#include "apps/report/train_command.h"

#include <nlohmann/json.hpp>

namespace inkling::report {

using nlohmann::json;

namespace {

// The settings with a value, in the order of the command line; the name of a flag has - instead of _.
constexpr const char* kFlags[] = {
    "data",         "val_data",  "tokenizer",   "init",         "batch_size", "replicas",  "seq_len",
    "grad_accum",   "steps",     "optimizer",   "lr",           "min_lr",     "warmup",    "schedule",
    "weight_decay", "beta1",     "beta2",       "eps",          "momentum",   "grad_clip", "precision",
    "seed",         "val_every", "val_batches", "sample_every", "save_every"};
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
  if (key == "beta1" || key == "beta2" || key == "eps") return s.optimizer == "adamw";
  return true;
}

std::string quoted(const std::string& word) {
  constexpr const char* kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/:=+,@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
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

std::string shell_line(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + quoted(word);
  return line;
}

std::string shell_lines(const std::vector<std::string>& words) {
  constexpr std::size_t kWidth = 64;
  std::string lines;
  std::size_t width = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string word = quoted(words[i]);
    const bool fits =
        width + word.size() < kWidth || !words[i].starts_with("--");  // a value stays with its flag
    if (i > 0) lines += fits ? " " : " \\\n  ";
    width = (fits ? width : 2) + word.size() + 1;
    lines += word;
  }
  return lines;
}

}  // namespace inkling::report
