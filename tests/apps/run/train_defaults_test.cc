// The default of every setting, written by hand for each kind of run: stories, the user's own text, GPT-2.
#include "apps/run/train_settings.h"
#include "apps/text/batches.h"
#include "apps/text/stories.h"
#include "apps/tokenize/tokenize.h"
#include "nn/generate.h"
#include "optim/adamw.h"
#include "optim/schedule.h"
#include "optim/sgd.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

const std::string kShard = std::filesystem::absolute("tests/goldens/curve_tokens.bin");
const std::string kCheckpoint = std::filesystem::absolute("tests/goldens/small.bin");

// The settings of a run if `faster` is the faster precision in the measurement.
json resolved(const json& given, const std::string& model_name = "", Precision faster = Precision::f32) {
  return resolve({.given = given, .model_name = model_name}, [&](const PreflightRequest&) {
    return PrecisionChoice{faster, "measured"};
  });
}

// The defaults that are the same for every kind of run.
json common() {
  return {{"val_data", ""},
          {"tokenizer", ""},
          {"init", ""},
          {"replicas", 1},
          {"grad_accum", 1},
          {"optimizer", "adamw"},
          {"momentum", 0.9},
          {"beta1", 0.9},
          {"eps", 1e-8},
          {"grad_clip", 1.0},
          {"local_steps", 0},
          {"local_steps_dtype", "f32"},
          {"outer_lr", 1},
          {"outer_momentum", 0.5},
          {"shuffle", true},
          {"seed", 42},
          {"precision", "f32"},
          {"document_mask", false},
          {"loss_mask", true},
          {"recompute", false},
          {"val_batches", 40},
          {"precision_reason", "measured"}};
}

json with(json base, const json& more) {
  base.update(more);
  return base;
}

json model(std::int64_t maxT, std::int64_t V, std::int64_t L, std::int64_t NH, std::int64_t C) {
  return {{"max_seq_len", maxT}, {"vocab_size", V}, {"layers", L}, {"heads", NH}, {"channels", C}};
}

json stories() {
  return with(common(), {{"data", ""},
                         {"model", model(128, story_tokenizer().vocab_size(), 2, 4, 128)},
                         {"batch_size", 8},
                         {"seq_len", 128},
                         {"steps", 5000},
                         {"lr", 1.5e-3},
                         {"min_lr", 1e-5},
                         {"warmup", 100},
                         {"schedule", "wsd"},
                         {"weight_decay", 0.01},
                         {"beta2", 0.99},
                         {"val_every", 1000},
                         {"sample_every", 1000},
                         {"save_every", 1000}});
}

json text() {
  return with(common(), {{"data", kShard},
                         {"model", model(256, 50257, 4, 4, 128)},
                         {"batch_size", 8},
                         {"seq_len", 256},
                         {"steps", 2000},
                         {"lr", 1.5e-3},
                         {"min_lr", 1.5e-4},
                         {"warmup", 100},
                         {"schedule", "cosine"},
                         {"weight_decay", 0.1},
                         {"beta2", 0.99},
                         {"val_every", 400},
                         {"sample_every", 400},
                         {"save_every", 400}});
}

json gpt2() {
  return with(common(), {{"data", kShard},
                         {"model", model(1024, 50257, 12, 12, 768)},
                         {"batch_size", 4},
                         {"seq_len", 64},
                         {"steps", 200},
                         {"lr", 6e-4},
                         {"min_lr", 6e-5},
                         {"warmup", 20},
                         {"schedule", "cosine"},
                         {"weight_decay", 0.1},
                         {"beta2", 0.95},
                         {"val_every", 40},
                         {"sample_every", 40},
                         {"save_every", 40}});
}

TEST_CASE("train defaults: a run on stories has the expected settings") {
  CHECK(resolved(json::object()) == stories());
}

TEST_CASE("train defaults: a run on the user's own text has the expected settings") {
  CHECK(resolved({{"data", kShard}}) == text());
}

TEST_CASE("train defaults: a run of GPT-2 and a run from a checkpoint have the expected settings") {
  CHECK(resolved({{"data", kShard}}, "gpt2:d12") == gpt2());
  // The checkpoint has 24 positions. This is less than the 64 tokens of GPT-2's rows, so T is 24.
  CHECK(resolved({{"data", kShard}, {"init", kCheckpoint}}) ==
        with(gpt2(), {{"init", kCheckpoint}, {"model", model(24, 131, 2, 3, 30)}, {"seq_len", 24}}));
  // GPT-2 on stories has the stories' vocabulary.
  CHECK(resolved(json::object(), "gpt2:d12") ==
        with(gpt2(), {{"data", ""}, {"model", model(1024, story_tokenizer().vocab_size(), 12, 12, 768)}}));
}

TEST_CASE(
    "train defaults: without --precision, every kind of run takes what a measurement of it finds faster") {
  for (const Precision faster : {Precision::f32, Precision::bf16}) {
    INFO(name(faster));
    CHECK(resolved(json::object(), "", faster).at("precision") == name(faster));
    CHECK(resolved({{"data", kShard}}, "", faster).at("precision") == name(faster));
    CHECK(resolved({{"data", kShard}}, "gpt2:d12", faster).at("precision") == name(faster));
    CHECK(resolved({{"data", kShard}, {"init", kCheckpoint}}, "", faster).at("precision") == name(faster));
    for (const char* wanted : {"f32", "bf16"}) {
      CHECK(resolved({{"precision", wanted}}, "", faster).at("precision") == wanted);
      CHECK(resolved({{"precision", wanted}}, "", faster).at("precision_reason") == "");
    }
  }
}

TEST_CASE("train defaults: the measurement uses the run's model, batch size and recomputation") {
  PreflightRequest measured;
  resolve({.given = {{"model", {{"layers", 3}, {"heads", 2}, {"channels", 64}}},
                     {"batch_size", 5},
                     {"seq_len", 24},
                     {"grad_accum", 7},
                     {"recompute", true}},
           .model_name = ""},
          [&](const PreflightRequest& request) {
            measured = request;
            return PrecisionChoice{Precision::f32, ""};
          });
  CHECK(measured.model.layers == 3);
  CHECK(measured.model.channels == 64);
  CHECK(measured.batch_size == 5);
  CHECK(measured.seq_len == 24);
  CHECK(measured.grad_accum == 7);
  CHECK(measured.recompute);
}

TEST_CASE("train defaults: the warm-up is a tenth of the steps, but at most 100") {
  for (const auto& [steps, warmup] : {std::pair{9, 0}, {10, 1}, {19, 1}, {999, 99}, {1000, 100}, {1010, 100}})
    CHECK(resolved({{"steps", steps}}).at("warmup") == warmup);
}

TEST_CASE("train defaults: a run validates, samples and saves after every fifth of its steps") {
  for (const auto& [steps, every] : {std::pair{1, 1}, {4, 1}, {9, 1}, {10, 2}, {14, 2}, {1000, 200}}) {
    const json settings = resolved({{"steps", steps}});
    for (const char* what : {"val_every", "sample_every", "save_every"}) CHECK(settings.at(what) == every);
  }
}

TEST_CASE("train defaults: min_lr is never above the lr that is given") {
  CHECK(resolved({{"lr", 2e-5}}).at("min_lr") == 1e-5);
  CHECK(resolved({{"lr", 3e-6}}).at("min_lr") == 3e-6);
  CHECK(resolved({{"data", kShard}, {"lr", 1e-4}}).at("min_lr") == 1e-4);
  CHECK(resolved({{"data", kShard}, {"lr", 1e-2}}).at("min_lr") == 1.5e-4);
  CHECK(resolved({{"data", kShard}, {"lr", 1e-5}}, "gpt2:d12").at("min_lr") == 1e-5);
}

TEST_CASE("train defaults: max_seq_len follows --seq-len, but a named model never gets fewer positions") {
  CHECK(resolved({{"seq_len", 300}}).at("model").at("max_seq_len") == 300);
  CHECK(resolved({{"seq_len", 16}}).at("model").at("max_seq_len") == 16);
  CHECK(resolved({{"seq_len", 16}}, "gpt2:d12").at("model").at("max_seq_len") == 1024);
  CHECK(resolved({{"seq_len", 2000}}, "gpt2:d12").at("model").at("max_seq_len") == 2000);
  CHECK(resolved({{"model", {{"max_seq_len", 40}}}}).at("seq_len") == 40);  // T follows maxT
}

TEST_CASE("train defaults: validation shards and the tokenizer are found beside the training shards") {
  const TemporaryDirectory temporary;
  for (const char* part : {"my_train.bin", "my_val.bin"})
    std::filesystem::copy_file(kShard, temporary / part);
  Tokenizer::bytes().write(temporary / "my_tokenizer.bin");
  const json one = resolved({{"data", temporary / "my_train.bin"}});
  CHECK(one.at("val_data") == temporary / "my_val.bin");
  CHECK(one.at("tokenizer") == temporary / "my_tokenizer.bin");
  CHECK(one.at("model").at("vocab_size") == 257);
  const json both = resolved({{"data", temporary / "my_*.bin"}});  // the glob matches both kinds
  CHECK(both.at("val_data") == temporary / "my_*.bin");
  const json none = resolved({{"data", temporary / "my_train.bin"}, {"val_data", ""}, {"tokenizer", ""}});
  CHECK(none.at("val_data") == "");
  CHECK(none.at("model").at("vocab_size") == 50257);
}

// Writes BASE_train.bin, BASE_val.bin and BASE_tokenizer.bin.
void write_data(const std::string& base) {
  std::filesystem::create_directories(std::filesystem::path(base).parent_path());
  for (const char* part : {"_train.bin", "_val.bin"}) std::filesystem::copy_file(kShard, base + part);
  Tokenizer::bytes().write(base + "_tokenizer.bin");
}

TEST_CASE(
    "train defaults: only the last `train` in the path of a shard is replaced to find the files beside it") {
  const TemporaryDirectory temporary;
  // Files with the names that a replacement of the first `train` would give.
  std::filesystem::create_directory(temporary / "my_val");
  std::filesystem::copy_file(kShard, temporary / "my_val/x_train.bin");
  Tokenizer::bytes().write(temporary / "my_tokenizer.bin");
  write_data(temporary / "old");
  const json saved = resolved({{"data", temporary / "old_train.bin"}});
  for (const char* name : {"my_train/x", "my_train/my_train", "train_data/x", "x_train"}) {
    INFO(name);
    const std::string base = temporary / name;
    write_data(base);
    const json started = resolved({{"data", base + "_train.bin"}});
    CHECK(started.at("val_data") == base + "_val.bin");
    CHECK(started.at("tokenizer") == base + "_tokenizer.bin");
    const json given = {{"data", base + "_train.bin"}};
    const json resumed = resolve_resumed(saved, {.given = given, .model_name = ""}, "config.json");
    CHECK(resumed.at("val_data") == base + "_val.bin");
    CHECK(resumed.at("tokenizer") == base + "_tokenizer.bin");
  }
}

TEST_CASE("defaults: the default model is GPT-2 124M, and the named models are OpenAI's four") {
  const json published = model(1024, 50257, 12, 12, 768);
  CHECK(json(GPT2Config{}) == published);
  CHECK(json(GPT2Config::named("gpt2:d12")) == published);
  CHECK(json(GPT2Config::named("gpt2:d24")) == model(1024, 50257, 24, 16, 1024));
  CHECK(json(GPT2Config::named("gpt2:d36")) == model(1024, 50257, 36, 20, 1280));
  CHECK(json(GPT2Config::named("gpt2:d48")) == model(1024, 50257, 48, 25, 1600));
  // The numbers of OpenAI's weights, plus 47 more rows of wte, because V is padded to 50304.
  for (const auto& [name, count] : {std::pair{"gpt2:d12", 124439808ll + 47 * 768},
                                    {"gpt2:d24", 354823168ll + 47 * 1024},
                                    {"gpt2:d36", 774030080ll + 47 * 1280},
                                    {"gpt2:d48", 1557611200ll + 47 * 1600}}) {
    CHECK(GPT2Config::named(name).parameter_count() == count);
  }
}

TEST_CASE("defaults: generation and sampling have the expected settings") {
  const GenerateSettings generation;
  CHECK(generation.max_tokens == 128);
  CHECK(generation.stop_token == -1);
  CHECK(generation.sampler.temperature == 1.0f);
  CHECK(generation.sampler.top_k == 0);
  CHECK(generation.sampler.top_p == 1.0f);
}

TEST_CASE("defaults: optimisers, schedule, batches and tokenize have the expected settings") {
  const AdamWSettings adamw;
  CHECK(adamw.beta1 == 0.9);
  CHECK(adamw.beta2 == 0.95);
  CHECK(adamw.eps == 1e-8);
  CHECK(adamw.weight_decay == 0.1);
  const SgdSettings sgd;
  CHECK(sgd.momentum == 0.9);
  CHECK(sgd.weight_decay == 0.0);
  const LearningRateSchedule schedule;
  CHECK(schedule.decay == LearningRateDecay::cosine);
  CHECK(schedule.lr == 3e-4);
  CHECK(schedule.min_lr == 0.0);
  CHECK(schedule.warmup_steps == 0);
  const BatchSettings batch;
  CHECK(batch.B == 4);
  CHECK(batch.T == 64);
  CHECK_FALSE(batch.shuffle);
  CHECK(batch.seed == 42);
  CHECK_FALSE(batch.align_documents);
  CHECK(batch.end_of_text == -1);
  const TokenizeSettings tokenize;
  CHECK(tokenize.val_fraction == 0.1);
  CHECK(tokenize.min_val_tokens == 8 * 256 + 1);  // one batch of the default size
  CHECK(tokenize.tokenizer_path.empty());
  CHECK_FALSE(tokenize.bytes);
  CHECK(tokenize.vocab_size == 0);    // it depends on the size of the text
  CHECK(tokenize.shard_tokens == 0);  // one shard
}

}  // namespace
}  // namespace inkling
