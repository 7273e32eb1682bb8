#include "apps/run/train_settings.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "apps/preflight/text_model.h"
#include "apps/run/data_files.h"
#include "apps/run/flags.h"
#include "apps/run/strict_json.h"
#include "apps/run/training_step.h"
#include "apps/text/data_shard.h"
#include "apps/text/shard.h"
#include "apps/text/stories.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "nn/checkpoint.h"
#include "optim/schedule.h"

namespace inkling {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

// The default value of each training flag, for the three kinds of runs: stories, the user's text, GPT-2.
struct Defaults {
  GPT2Config model;
  std::int64_t batch_size, seq_len, steps;
  double lr, min_lr;
  const char* schedule;
  double beta2, weight_decay;
};

// The defaults for stories. A run takes one or two minutes on two cores. The model learns slowly to look back
// in a story, and it learns this only at a low learning rate. At the end, the steep decay of wsd lowers the
// loss by the last percent.
constexpr Defaults kStories{
    .model = {.max_seq_len = 0, .vocab_size = 0, .layers = 2, .heads = 4, .channels = 128},
    .batch_size = 8,
    .seq_len = 128,
    .steps = 5000,
    .lr = 1.5e-3,
    .min_lr = 1e-5,
    .schedule = "wsd",
    .beta2 = 0.99,
    .weight_decay = 0.01};
// The defaults for the user's own text: longer sequences, because the text may be anything. The model is the
// smallest one; choose_text_model() chooses a larger one for a larger text.
constexpr Defaults kText{
    .model = {.max_seq_len = 0, .vocab_size = 0, .layers = 4, .heads = 4, .channels = 128},
    .batch_size = 8,
    .seq_len = 256,
    .steps = 2000,
    .lr = 1.5e-3,
    .min_lr = 1.5e-4,
    .schedule = "cosine",
    .beta2 = 0.99,
    .weight_decay = 0.1};
// The defaults for GPT-2 and checkpoints: GPT-3's settings (Brown et al. 2020, table 2.1 and appendix B), but
// with small batches.
constexpr Defaults kGPT2{.model = {},
                         .batch_size = 4,
                         .seq_len = 64,
                         .steps = 200,
                         .lr = 6e-4,
                         .min_lr = 6e-5,
                         .schedule = "cosine",
                         .beta2 = 0.95,
                         .weight_decay = 0.1};

std::int64_t vocabulary(const TrainSettings& s) {
  if (s.stories()) return story_tokenizer().vocab_size();
  if (!s.tokenizer.empty()) return Tokenizer::read(s.tokenizer).vocab_size();
  return GPT2Config{}.vocab_size;
}

const Defaults& defaults_for(const TrainSettings& s, const TrainFlags& flags) {
  if (!s.init.empty() || !flags.model_name.empty()) return kGPT2;
  return s.stories() ? kStories : kText;
}

// Origin: where settings come from, for error messages. They come from the command line or from a
// config.json.
class Origin {
 public:
  static Origin flags() { return Origin(""); }
  static Origin file(const std::string& path) { return Origin(path); }

  // Throws an error about a setting. `key` is the setting's name in config.json, `what` is the rest of the
  // message.
  [[noreturn]] void refuse(const std::string& key, const std::string& what) const {
    if (path_.empty()) throw UsageError(flag_of(key) + " " + what);
    fail(path_, ": ", key, " ", what);
  }
  template <class T>
  void in_range(const char* key, T value, T least, T most) const {
    if (!(value >= least && value <= most))
      refuse(key, str("is ", value, ", expected ", least, " to ", most));
  }
  // Calls f. The errors of f do not say where the value comes from, so checked_by() adds the path or
  // `flag_prefix`.
  template <class F>
  void checked_by(F&& f, const std::string& flag_prefix = "") const {
    if (path_.empty()) {
      from_flags(f, flag_prefix);
    } else {
      try {
        f();
      } catch (const Error& error) {
        fail(path_, ": ", error.what());
      }
    }
  }

 private:
  explicit Origin(std::string path) : path_(std::move(path)) {}

  std::string path_;  // the path of config.json; empty if settings come from flags
};

void choose_model(TrainSettings& s, const TrainFlags& flags, const Defaults& defaults) {
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
  s.model = flags.model_name.empty() ? defaults.model
                                     : from_flags([&] { return GPT2Config::named(flags.model_name); });
  s.model.vocab_size = vocabulary(s);
  const std::int64_t seq_len = flags.given.value("seq_len", s.seq_len);
  // seq_len is checked here, because max_seq_len is computed from it.
  Origin::flags().in_range("seq_len", seq_len, std::int64_t{1}, kMostCount);
  s.model.max_seq_len = std::max(s.model.max_seq_len, seq_len);
  json merged = s.model;
  merged.merge_patch(flags.given.value("model", json::object()));
  s.model = merged.get<GPT2Config>();
  from_flags([&] { s.model.check("model"); });
}

// What a preflight needs to know about the run. The precision is not chosen yet.
PreflightRequest request_of(const TrainSettings& s) {
  return {.model = s.model,
          .batch_size = s.batch_size,
          .seq_len = s.seq_len,
          .grad_accum = s.grad_accum,
          .recompute = s.recompute};
}

// The user's own text, without a flag about the model, gets a model that suits the text and the machine.
void choose_text_model(TrainSettings& s, const TrainFlags& flags, const ChoosePrecision& choose) {
  if (s.stories() || !s.init.empty() || !flags.model_name.empty() || flags.given.contains("model")) return;
  std::int64_t tokens = 0;
  for (const std::string& path : training_shards(s)) tokens += Shard(path).size();
  s.model = suitable_model(request_of(s), tokens, s.steps, choose);
}

// With local steps, a run has one model only after an outer step. So it validates, samples and ends there.
void check_rounds(const TrainSettings& s, const Origin& origin) {
  if (s.local_steps_dtype != "f32" && s.local_steps_dtype != "bf16")
    origin.refuse("local_steps_dtype", str("is ", s.local_steps_dtype, ", expected f32 or bf16"));
  if (s.local_steps == 0) return;
  for (const auto& [key, value] :
       {std::pair{"steps", s.steps}, {"val_every", s.val_every}, {"sample_every", s.sample_every}}) {
    if (value % s.local_steps != 0) {
      origin.refuse(key, str("is ", value, ", expected a multiple of the ", s.local_steps,
                             " local steps, because the replicas differ between them"));
    }
  }
}

void check(const TrainSettings& s, const Origin& origin) {
  for (const auto& r : kWholeNumberRanges) origin.in_range(r.key, s.*r.setting, r.least, r.most);
  for (const auto& r : kRealNumberRanges) origin.in_range(r.key, s.*r.setting, r.least, r.most);
  origin.in_range("min_lr", s.min_lr, 0.0, s.lr);
  if (s.batch_size % s.replicas != 0) {
    origin.refuse("batch_size", str("is ", s.batch_size, ", expected a multiple of the ", s.replicas,
                                    " replicas, which take equal parts of the batch"));
  }
  check_rounds(s, origin);
  if (s.optimizer != "adamw" && s.optimizer != "sgd")
    origin.refuse("optimizer", str("is ", s.optimizer, ", expected adamw or sgd"));
  origin.checked_by([&] { parse_precision(s.precision, Recording::on); }, "--");
  origin.checked_by([&] { parse_learning_rate_decay(s.schedule); }, "--");
  origin.checked_by([&] { s.model.check("model"); });
  if (s.seq_len > s.model.max_seq_len) {
    origin.refuse("seq_len",
                  str("is ", s.seq_len, ", expected at most the model's maximum of ", s.model.max_seq_len));
  }
}

// Error unless the JSON object `saved` has every key of `example`, with a value of the same type, and no
// other key.
void check_types(const JsonObject& saved, const json& example) {
  for (const auto& [key, value] : example.items()) {
    // Runs of older versions do not have these keys.
    static const std::set<std::string> kNew = {"recompute", "loss_mask",     "document_mask",
                                               "replicas",  "local_steps",   "local_steps_dtype",
                                               "outer_lr",  "outer_momentum"};
    if (kNew.contains(key) && !saved.has(key)) continue;
    switch (value.type()) {
      case json::value_t::string:
        saved.text(key);
        break;
      case json::value_t::boolean:
        saved.boolean(key);
        break;
      case json::value_t::number_float:
        saved.number(key);
        break;
      case json::value_t::number_unsigned:
        saved.unsigned_integer(key);
        break;
      case json::value_t::number_integer:
        saved.integer(key, 0, kMostCount);
        break;
      default:
        check_types(saved.object(key), value);
    }
  }
  saved.expect_no_other_keys(example);
}

// Reads the settings in a run's config.json. Error if a value is impossible; the Error names the file and the
// key.
TrainSettings settings_from_json(const json& saved, const std::string& path) {
  if (!saved.is_object()) fail(path, ": these are not the settings of a run, expected a JSON object");
  check_types(JsonObject(saved, path), TrainSettings{});
  auto settings = saved.get<TrainSettings>();
  check(settings, Origin::file(path));
  return settings;
}

// Checks that the values of all flags are UTF-8: every flag is saved in config.json, and JSON must be UTF-8.
void check_text(const json& given) {
  for (const auto& [key, value] : given.items()) {
    try {
      value.dump();
    } catch (const json::exception&) {
      throw UsageError(flag_of(key) + " is not UTF-8, expected text in UTF-8");
    }
  }
}

// Refuses flags without an effect: a flag of the other optimiser, a flag of local steps without them, and
// --min-lr if the learning rate stays constant.
void check_effects(const TrainSettings& s, const json& given) {
  for (const auto& [flag, optimizer] :
       {std::pair{"beta1", "adamw"}, {"beta2", "adamw"}, {"eps", "adamw"}, {"momentum", "sgd"}}) {
    if (given.contains(flag) && s.optimizer != optimizer) {
      throw UsageError(str("--", flag, " needs --optimizer ", optimizer, ", got ", s.optimizer));
    }
  }
  for (const char* key : {"local_steps_dtype", "outer_lr", "outer_momentum"}) {
    if (given.contains(key) && s.local_steps == 0) throw UsageError(flag_of(key) + " needs --local-steps");
  }
  if (given.contains("min_lr") && s.schedule == "constant") {
    throw UsageError("--min-lr needs --schedule linear, cosine or wsd, got constant");
  }
}

// The data of a resumed run may be in another place, but a run on stories cannot change to files, and a run
// on files cannot change to stories.
void check_same_kind_of_data(const json& saved, const json& given, const std::string& path) {
  const bool stories = saved["data"] == "";
  for (const char* key : {"data", "val_data", "tokenizer"}) {
    const json now = given.value(key, saved[key]);
    if (stories ? now == "" : now != "" || key != std::string("data")) continue;
    throw UsageError(str(path, ": the run was started with ", stories ? "stories" : "--data", ", got ",
                         flag_of(key), " ", now.dump(), "; leave the flag out to resume"));
  }
}

}  // namespace

TrainSettings resolve(const TrainFlags& flags, const ChoosePrecision& choose) {
  check_text(flags.given);
  const json given = with_absolute_paths(flags.given);
  TrainSettings s;
  choose_data(s, given);
  s.init = given.value("init", "");
  const Defaults& defaults = defaults_for(s, flags);
  const DocumentMarks marks = s.stories() ? DocumentMarks{} : find_document_marks(training_shards(s));
  s.document_mask = marks.starts;
  s.seq_len = marks.row_tokens > 0 ? marks.row_tokens : defaults.seq_len;
  choose_model(s, flags, defaults);
  if (marks.row_tokens == 0) s.seq_len = std::min(s.seq_len, s.model.max_seq_len);
  s.batch_size = defaults.batch_size;
  const std::int64_t local_steps =
      std::clamp(given.value("local_steps", s.local_steps), std::int64_t{0}, kMostCount);
  // A default number of steps is rounded up to whole rounds of local steps.
  const auto whole_rounds = [&](std::int64_t steps) {
    return local_steps == 0 ? steps : (steps + local_steps - 1) / local_steps * local_steps;
  };
  s.steps = flags.given.value("steps", whole_rounds(defaults.steps));
  s.lr = flags.given.value("lr", defaults.lr);
  s.min_lr = std::min(defaults.min_lr, s.lr);
  s.warmup = std::min<std::int64_t>(s.steps / 10, 100);
  s.schedule = defaults.schedule;
  s.beta2 = defaults.beta2;
  s.weight_decay = defaults.weight_decay;
  s.val_batches = 40;
  s.val_every = s.sample_every = s.save_every = whole_rounds(std::max<std::int64_t>(1, s.steps / 5));

  json merged = s;
  merged.merge_patch(given);
  s = merged.get<TrainSettings>();
  check(s, Origin::flags());
  check_effects(s, given);
  check_step_tokens(s.batch_size * s.seq_len, s.grad_accum);
  choose_text_model(s, flags, choose);
  if (!flags.given.contains("precision")) {
    const PrecisionChoice choice = choose(request_of(s));
    s.precision = name(choice.precision);
    s.precision_reason = choice.reason;
  }
  return s;
}

TrainSettings resolve_resumed(const json& saved, const TrainFlags& flags, const std::string& path) {
  static const std::set<std::string> kMayChange = {"/steps",       "/recompute",    "/val_every",
                                                   "/val_batches", "/sample_every", "/save_every",
                                                   "/data",        "/val_data",     "/tokenizer"};
  if (!flags.model_name.empty()) {
    throw UsageError(str(path, ": the run's model is in its config.json, expected no --model, got --model ",
                         flags.model_name, "; leave it out to resume"));
  }
  settings_from_json(saved, path);  // the file must be valid before flags change it
  check_text(flags.given);
  check_same_kind_of_data(saved, flags.given, path);
  const json given = with_files_beside(with_absolute_paths(flags.given), saved);
  json merged = saved;
  merged.merge_patch(given);
  for (const json& change : json::diff(saved, merged)) {
    const std::string key = change.at("path");
    if (kMayChange.contains(key)) continue;
    const json::json_pointer at(key);
    throw UsageError(str(path, ": the run was started with ", key.substr(key.rfind('/') + 1), " ",
                         saved.contains(at) ? saved[at].dump() : "unset", ", got ", merged[at].dump(),
                         "; leave the flag out to resume"));
  }
  auto s = merged.get<TrainSettings>();
  check(s, Origin::flags());
  check_effects(s, given);
  return s;
}

}  // namespace inkling
