#include "apps/run/train_settings.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "apps/text/shard.h"
#include "apps/text/stories.h"
#include "apps/text/tokenizer.h"
#include "core/error.h"
#include "nn/checkpoint.h"
#include "optim/schedule.h"

namespace inkling {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// The default model of stories and small texts: it trains in minutes on two cores.
constexpr GPT2Config kSmallModel{.max_seq_len = 0, .vocab_size = 0, .layers = 4, .heads = 4, .channels = 128};
constexpr std::int64_t kLargeModel = 20'000'000;  // parameters from which on the defaults are GPT-2's own

// What a lower floor finds wrong with a value that came from a flag is a wrong use of the command line.
template <class F>
auto from_flags(F&& f) {
  try {
    return f();
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

// "dir/my_train_000.bin" belongs with "dir/my_tokenizer.bin", if that exists.
std::string tokenizer_beside(const std::string& shard) {
  const std::size_t cut = shard.rfind("_train");
  if (cut == std::string::npos) return "";
  const std::string path = shard.substr(0, cut) + "_tokenizer.bin";
  return fs::exists(path) ? path : "";
}

bool is_validation(const std::string& path) {
  return fs::path(path).filename().string().find("_val") != std::string::npos;
}

// "dir/my_train*.bin" belongs with "dir/my_val*.bin", and a glob may match both kinds itself. Empty: no
// validation shards.
std::string validation_beside(const std::string& data, const std::vector<std::string>& shards) {
  const auto validation = std::count_if(shards.begin(), shards.end(), is_validation);
  if (validation > 0 && validation < std::ssize(shards)) return data;
  const std::size_t cut = data.rfind("train");
  if (cut == std::string::npos) return "";
  const std::string pattern = data.substr(0, cut) + "val" + data.substr(cut + 5);
  try {
    return find_shards(pattern).empty() ? "" : pattern;
  } catch (const Error&) {
    return "";
  }
}

void choose_data(TrainSettings& s, const json& given) {
  s.data = given.value("data", "");
  if (s.stories()) {
    for (const char* other : {"val_data", "tokenizer"}) {
      if (given.contains(other))
        throw UsageError(str("--", other, " goes with --data; the stories bring their own"));
    }
    return;
  }
  const std::vector<std::string> shards = find_shards(s.data);
  s.val_data = given.value("val_data", validation_beside(s.data, shards));
  s.tokenizer = given.value("tokenizer", tokenizer_beside(shards.front()));
}

std::int64_t vocabulary(const TrainSettings& s) {
  if (s.stories()) return story_tokenizer().vocab_size();
  if (!s.tokenizer.empty()) return Tokenizer::read(s.tokenizer).vocab_size();
  return GPT2Config{}.vocab_size;
}

void choose_model(TrainSettings& s, const TrainFlags& flags) {
  if (!s.init.empty()) {
    if (!flags.model_name.empty() || flags.given.contains("model")) {
      throw UsageError(str("the model's shape comes from --init ", s.init,
                           ": leave out --model, --layers, --heads, ",
                           "--channels, --max-seq-len and --vocab-size"));
    }
    const FileView file(s.init);
    ByteReader in(file);
    s.model = read_model_header(in).config;
    return;
  }
  s.model = flags.model_name.empty() ? kSmallModel
                                     : from_flags([&] { return GPT2Config::named(flags.model_name); });
  s.model.vocab_size = vocabulary(s);
  s.model.max_seq_len = std::max(s.model.max_seq_len, flags.given.value("seq_len", s.seq_len));
  json merged = s.model;
  merged.merge_patch(flags.given.value("model", json::object()));
  s.model = merged.get<GPT2Config>();
  from_flags([&] { s.model.check("model"); });
}

// Learning rates as in GPT-3's table 2.1 (Brown et al. 2020) for GPT-2's sizes; small models bear more.
double default_lr(const GPT2Config& model) {
  const std::int64_t n = model.parameter_count();
  return n < kLargeModel ? 2e-3 : n < 200'000'000 ? 6e-4 : n < 500'000'000 ? 3e-4 : 2e-4;
}

void check(const TrainSettings& s) {
  const auto in_range = [](const char* flag, auto value, auto least, auto most) {
    if (!(value >= least && value <= most)) {
      throw UsageError(str("--", flag, " is ", value, ", expected ", least, " to ", most));
    }
  };
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  in_range("batch-size", s.batch_size, std::int64_t{1}, kMost);
  in_range("seq-len", s.seq_len, std::int64_t{1}, kMost);
  in_range("grad-accum", s.grad_accum, std::int64_t{1}, kMost);
  in_range("steps", s.steps, std::int64_t{1}, kMost);
  in_range("warmup", s.warmup, std::int64_t{0}, kMost);
  in_range("lr", s.lr, 0.0, 1e3);
  in_range("min-lr", s.min_lr, 0.0, s.lr);
  if (s.optimizer != "adamw" && s.optimizer != "sgd") {
    throw UsageError(str("--optimizer is ", s.optimizer, ", expected adamw or sgd"));
  }
  in_range("momentum", s.momentum, 0.0, 0.999999);
  in_range("weight-decay", s.weight_decay, 0.0, 1e3);
  in_range("beta1", s.beta1, 0.0, 0.999999);
  in_range("beta2", s.beta2, 0.0, 0.999999);
  in_range("eps", s.eps, 1e-30, 1.0);
  in_range("grad-clip", s.grad_clip, 0.0, 1e9);
  for (const auto& [flag, value] :
       {std::pair{"val-every", s.val_every}, std::pair{"val-batches", s.val_batches},
        std::pair{"sample-every", s.sample_every}, std::pair{"save-every", s.save_every}}) {
    in_range(flag, value, std::int64_t{0}, kMost);
  }
  if (s.precision != "f32") throw UsageError(str("--precision is ", s.precision, ", expected f32"));
  from_flags([&] { return parse_learning_rate_decay(s.schedule); });
  if (s.seq_len > s.model.max_seq_len) {
    throw UsageError(
        str("--seq-len is ", s.seq_len, ", expected at most the model's maximum of ", s.model.max_seq_len));
  }
}

}  // namespace

std::vector<std::string> training_shards(const TrainSettings& settings) {
  std::vector<std::string> shards = find_shards(settings.data);
  if (settings.data == settings.val_data) std::erase_if(shards, is_validation);
  return shards;
}

std::vector<std::string> validation_shards(const TrainSettings& settings) {
  if (settings.val_data.empty()) return {};
  std::vector<std::string> shards = find_shards(settings.val_data);
  if (settings.data == settings.val_data)
    std::erase_if(shards, [](const std::string& path) { return !is_validation(path); });
  return shards;
}

TrainSettings resolve(const TrainFlags& flags) {
  TrainSettings s;
  choose_data(s, flags.given);
  s.init = flags.given.value("init", "");
  const bool gpt2 = !s.init.empty() || !flags.model_name.empty();
  s.seq_len = gpt2 ? 64 : 128;
  choose_model(s, flags);
  s.seq_len = std::min(s.seq_len, s.model.max_seq_len);
  s.batch_size = gpt2 ? 4 : 32;
  s.steps = flags.given.value("steps", std::int64_t{gpt2 ? 200 : 600});
  s.lr = flags.given.value("lr", default_lr(s.model));
  s.min_lr = 0.1 * s.lr;
  s.warmup = std::min<std::int64_t>(s.steps / 10, 100);
  s.schedule = "cosine";
  s.val_batches = 10;
  s.val_every = s.sample_every = s.save_every = std::max<std::int64_t>(1, s.steps / 6);

  json merged = s;
  merged.merge_patch(flags.given);
  s = merged.get<TrainSettings>();
  check(s);
  return s;
}

TrainSettings resolve_resumed(const json& saved, const TrainFlags& flags, const std::string& path) {
  static const std::set<std::string> kMayChange = {"/steps", "/val_every", "/val_batches", "/sample_every",
                                                   "/save_every"};
  if (!flags.model_name.empty()) {
    throw UsageError(str(path, ": the run's model is in its config.json, got --model ", flags.model_name,
                         "; leave it out to resume"));
  }
  json merged = saved;
  merged.merge_patch(flags.given);
  for (const json& change : json::diff(saved, merged)) {
    const std::string key = change.at("path");
    if (kMayChange.contains(key)) continue;
    const json::json_pointer at(key);
    throw UsageError(str(path, ": the run was started with ", key.substr(key.rfind('/') + 1), " ",
                         saved.contains(at) ? saved[at].dump() : "unset", ", got ", merged[at].dump(),
                         "; leave the flag out to resume"));
  }
  try {
    const auto s = merged.get<TrainSettings>();
    check(s);
    return s;
  } catch (const json::exception& error) {
    fail(path, ": not the settings of a run: ", error.what());
  }
}

}  // namespace inkling
