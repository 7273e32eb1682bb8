// The bounds of a run's settings, each tested on both sides, and the settings that a resumed run may change.
#include <cmath>
#include <limits>
#include <map>

#include "apps/run/train_settings.h"
#include "core/error.h"
#include "tests/apps/run/fixed_precision.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

constexpr std::int64_t kMost = std::int64_t{1} << 31;
constexpr double kInfinity = std::numeric_limits<double>::infinity();
const std::string kCheckpoint = "tests/goldens/small.bin";
constexpr std::int64_t kCheckpointPositions = 24;

json given(const char* key, const json& value, json more = json::object()) {
  more[json::json_pointer(key)] = value;
  return more;
}

void accepted(const json& flags) {
  INFO(flags);
  CHECK_NOTHROW(resolve({.given = flags, .model_name = ""}, f32_is_faster));
}

void refused(const json& flags, const std::string& why) {
  INFO(flags);
  CHECK_THROWS_AS(resolve({.given = flags, .model_name = ""}, f32_is_faster), UsageError);
  CHECK_THROWS_WITH(resolve({.given = flags, .model_name = ""}, f32_is_faster), contains(why));
}

TEST_CASE("train bounds: counts are accepted at both ends of their range, and refused beyond them") {
  const json one_token = {{"batch_size", 1}, {"seq_len", 1}};
  for (const auto& [key, flag, least, most] : {std::tuple{"/grad_accum", "--grad-accum", 1, kMostStepTokens},
                                               {"/steps", "--steps", 1, kMost},
                                               {"/val_batches", "--val-batches", 1, kMost},
                                               {"/warmup", "--warmup", 0, kMost},
                                               {"/val_every", "--val-every", 0, kMost},
                                               {"/sample_every", "--sample-every", 0, kMost},
                                               {"/save_every", "--save-every", 0, kMost}}) {
    for (const std::int64_t count : {std::int64_t{least}, most}) {
      INFO(flag << " " << count);
      const json settings = resolve({.given = given(key, count, one_token), .model_name = ""}, f32_is_faster);
      CHECK(settings.at(json::json_pointer(key)) == count);
    }
    refused(given(key, least - 1), str(flag, " is ", least - 1, ", expected ", least, " to ", most));
    refused(given(key, most + 1), str(flag, " is ", most + 1, ", expected"));
  }
  refused(given("/batch_size", 0), "--batch-size is 0, expected 1 to 2147483648");
}

TEST_CASE("train bounds: a step has at most 2^26 tokens, which is checked before anything is measured") {
  const auto measures = [](const PreflightRequest&) -> PrecisionChoice { throw Error("measured"); };
  const auto resolved = [&](std::int64_t B, std::int64_t accum) {
    const json flags = {{"batch_size", B}, {"seq_len", 256}, {"grad_accum", accum}};
    return resolve({.given = flags, .model_name = ""}, measures);
  };
  CHECK_THROWS_WITH(resolved(kMostStepTokens / 256, 1), "measured");
  CHECK_THROWS_WITH(resolved(kMostStepTokens / 256 + 1, 1),
                    contains("--batch-size times --seq-len is 67109120"));
  CHECK_THROWS_WITH(resolved(kMostStepTokens / 512, 2), "measured");
  CHECK_THROWS_WITH(resolved(kMostStepTokens / 512, 3), contains("--grad-accum is 3, expected at most 2"));
}

TEST_CASE("train bounds: replicas are accepted from 1 to 4096 if they divide the batch") {
  accepted({{"replicas", 1}, {"batch_size", 3}});
  accepted({{"replicas", 4096}, {"batch_size", 8192}});
  refused({{"replicas", 0}}, "--replicas is 0, expected 1 to 4096");
  refused({{"replicas", 4097}, {"batch_size", 4097}}, "--replicas is 4097, expected 1 to 4096");
  refused({{"replicas", 2}, {"batch_size", 5}},
          "--batch-size is 5, expected a multiple of the 2 replicas, which take equal parts of the batch");
}

TEST_CASE("train bounds: with local steps, a run ends, validates and samples after whole rounds") {
  accepted({{"local_steps", 0}});
  refused({{"local_steps", -1}}, "--local-steps is -1, expected 0 to 2147483648");
  refused({{"local_steps", kMost + 1}}, "--local-steps is 2147483649, expected 0 to 2147483648");
  accepted({{"local_steps", 7}, {"steps", 70}, {"val_every", 14}, {"sample_every", 0}, {"save_every", 3}});
  for (const char* key : {"steps", "val_every", "sample_every"}) {
    json flags = {{"local_steps", 7}, {"steps", 70}};
    flags[key] = 71;
    refused(flags, "is 71, expected a multiple of the 7 local steps");
  }
  // Defaults are rounded up: the stories' 5,000 steps, and a fifth of them.
  const TrainSettings s = resolve({.given = {{"local_steps", 300}}, .model_name = ""}, f32_is_faster);
  CHECK(s.steps == 5100);
  CHECK(s.val_every == 1200);
  CHECK(s.sample_every == 1200);
  CHECK(s.save_every == 1200);
}

TEST_CASE("train bounds: real numbers are accepted at both ends of their range, and refused beyond them") {
  struct Bound {
    const char *key, *flag;
    double least, most;
    json more = json::object();
  };
  for (const Bound& b : {Bound{"/lr", "--lr", 0, 1e3},
                         {"/min_lr", "--min-lr", 0, 0.02, {{"lr", 0.02}}},
                         {"/momentum", "--momentum", 0, 0.999999, {{"optimizer", "sgd"}}},
                         {"/weight_decay", "--weight-decay", 0, 1e3},
                         {"/beta1", "--beta1", 0, 0.999999},
                         {"/beta2", "--beta2", 0, 0.999999},
                         {"/eps", "--eps", 1e-30, 1},
                         {"/outer_lr", "--outer-lr", 0, 1e3, {{"local_steps", 50}}},
                         {"/outer_momentum", "--outer-momentum", 0, 0.999999, {{"local_steps", 50}}},
                         {"/grad_clip", "--grad-clip", 0, 1e9}}) {
    accepted(given(b.key, b.least, b.more));
    accepted(given(b.key, b.most, b.more));
    refused(given(b.key, std::nextafter(b.least, -kInfinity), b.more), str(b.flag, " is "));
    refused(given(b.key, std::nextafter(b.most, kInfinity), b.more), str(b.flag, " is "));
    refused(given(b.key, NAN, b.more), str(b.flag, " is nan"));
  }
}

TEST_CASE("train bounds: --seq-len is at most the model's number of positions") {
  accepted({{"seq_len", 1}});
  refused({{"seq_len", 0}}, "--seq-len is 0, expected 1 to");
  refused({{"seq_len", kMost + 1}}, str("--seq-len is ", kMost + 1, ", expected 1 to ", kMost));
  accepted({{"seq_len", 32}, {"model", {{"max_seq_len", 32}}}});
  refused({{"seq_len", 33}, {"model", {{"max_seq_len", 32}}}},
          "--seq-len is 33, expected at most the model's maximum of 32");
  const json from = {{"init", kCheckpoint}};
  accepted(given("/seq_len", kCheckpointPositions, from));
  refused(given("/seq_len", kCheckpointPositions + 1, from), "expected at most the model's maximum of 24");
  refused(given("/seq_len", 0, from), "--seq-len is 0");
}

TEST_CASE("train bounds: a model's dimensions are from 1 to 1048576, and its heads divide its channels") {
  for (const char* key :
       {"/model/layers", "/model/heads", "/model/channels", "/model/max_seq_len", "/model/vocab_size"}) {
    refused(given(key, 0), "is 0, expected 1 to 1048576");
    refused(given(key, 1048577), "is 1048577, expected 1 to 1048576");
  }
  accepted(
      {{"model", {{"layers", 1}, {"heads", 1}, {"channels", 1}, {"vocab_size", 1}, {"max_seq_len", 1}}}});
  for (const char* key : {"/model/layers", "/model/max_seq_len", "/model/vocab_size"})
    accepted(given(key, 1048576));
  accepted({{"model", {{"heads", 3}, {"channels", 30}}}});
  refused({{"model", {{"heads", 3}, {"channels", 31}}}},
          "expected a multiple of the number of heads (NH), which is 3");
}

TEST_CASE("train bounds: only the names in the help are accepted for schedule, optimizer and precision") {
  for (const char* dtype : {"f32", "bf16"}) accepted({{"local_steps", 50}, {"local_steps_dtype", dtype}});
  refused({{"local_steps", 50}, {"local_steps_dtype", "f16"}},
          "--local-steps-dtype is f16, expected f32 or bf16");
  for (const char* schedule : {"constant", "linear", "cosine", "wsd"}) accepted({{"schedule", schedule}});
  for (const char* optimizer : {"adamw", "sgd"}) accepted({{"optimizer", optimizer}});
  for (const char* precision : {"f32", "bf16"}) accepted({{"precision", precision}});
  refused({{"schedule", "step"}}, "expected constant, linear, cosine or wsd");
  refused({{"optimizer", "adam"}}, "--optimizer is adam, expected adamw or sgd");
  refused({{"precision", "int8"}}, "--precision is int8");  // int8 has no backward
}

// Every setting: whether a resumed run may change it, and a value that is not the default of a run on
// stories.
struct Change {
  bool allowed;
  json value;
};
const std::map<std::string, Change>& resumed_with() {
  static const std::map<std::string, Change> changes = {
      {"/steps", {true, 6000}},
      {"/recompute", {true, true}},
      {"/val_every", {true, 0}},
      {"/val_batches", {true, 7}},
      {"/sample_every", {true, 3}},
      {"/save_every", {true, 1}},
      {"/val_data", {false, "/x.bin"}},
      {"/tokenizer", {false, "/x.bin"}},
      {"/data", {false, "/x.bin"}},
      {"/init", {false, "/x.bin"}},
      {"/model/layers", {false, 3}},
      {"/model/heads", {false, 2}},
      {"/model/channels", {false, 64}},
      {"/batch_size", {false, 4}},
      {"/replicas", {false, 2}},
      {"/model/max_seq_len", {false, 256}},
      {"/seq_len", {false, 64}},
      {"/grad_accum", {false, 2}},
      {"/model/vocab_size", {false, 900}},
      {"/lr", {false, 2e-3}},
      {"/min_lr", {false, 1e-6}},
      {"/warmup", {false, 99}},
      {"/optimizer", {false, "sgd"}},
      {"/momentum", {false, 0.8}},
      {"/schedule", {false, "cosine"}},
      {"/beta1", {false, 0.8}},
      {"/beta2", {false, 0.8}},
      {"/weight_decay", {false, 0.3}},
      {"/eps", {false, 1e-3}},
      {"/grad_clip", {false, 0}},
      {"/local_steps", {false, 50}},
      {"/local_steps_dtype", {false, "bf16"}},
      {"/outer_lr", {false, 0.6}},
      {"/outer_momentum", {false, 0.8}},
      {"/shuffle", {false, false}},
      {"/loss_mask", {false, false}},
      {"/document_mask", {false, true}},
      {"/seed", {false, 43}},
      {"/precision", {false, "bf16"}},
      {"/precision_reason", {false, "x"}},
  };
  return changes;
}

json resumed(const json& saved, const json& flags) {
  return resolve_resumed(saved, {.given = flags, .model_name = ""}, "run/config.json");
}

TEST_CASE("train resumed: settings that decide the weights are fixed; intervals and steps may change") {
  const json saved = resolve({}, f32_is_faster);
  for (const auto& [path, change] : resumed_with()) {
    INFO(path);
    const json flags = given(path.c_str(), change.value);
    if (change.allowed) {
      json want = saved;
      want[json::json_pointer(path)] = change.value;
      CHECK(resumed(saved, flags) == want);  // no other setting changes, for example the warm-up
    } else {
      CHECK_THROWS_AS(resumed(saved, flags), UsageError);
      CHECK_THROWS_WITH(resumed(saved, flags), contains("the run was started with") &&
                                                   contains(change.value.dump()) && contains("config.json"));
    }
  }
}

TEST_CASE("train resumed: every setting is in the table of this test") {
  const json settings = json(resolve({}, f32_is_faster)).flatten();
  CHECK(settings.size() == resumed_with().size());
  for (const auto& [path, value] : settings.items()) {
    INFO(path);
    CHECK(resumed_with().contains(path));
  }
}

TEST_CASE("train resumed: a flag with the value that the run already has is accepted") {
  const json saved = resolve({}, f32_is_faster);
  CHECK(resumed(saved, json::object()) == saved);
  CHECK(resumed(saved, {{"lr", 1.5e-3}, {"model", {{"layers", 2}}}, {"seed", 42}}) == saved);
}

TEST_CASE("train resumed: another number of local steps is refused, with both numbers") {
  const json saved = resolve({.given = {{"local_steps", 50}}, .model_name = ""}, f32_is_faster);
  CHECK_THROWS_WITH(resumed(saved, {{"local_steps", 25}}),
                    contains("the run was started with local_steps 50, got 25"));
  CHECK_THROWS_WITH(resumed(saved, {{"steps", 5049}}),
                    contains("--steps is 5049, expected a multiple of the 50 local steps"));
  CHECK(resumed(saved, {{"steps", 5050}}).at("steps") == 5050);
}

TEST_CASE("train resumed: changed settings keep their bounds, and --model is refused") {
  const json saved = resolve({}, f32_is_faster);
  CHECK_THROWS_WITH(resumed(saved, {{"steps", 0}}), contains("--steps is 0"));
  CHECK_THROWS_WITH(resumed(saved, {{"save_every", -1}}), contains("--save-every is -1"));
  CHECK_THROWS_WITH(
      resolve_resumed(saved, {.given = json::object(), .model_name = "gpt2:d12"}, "config.json"),
      contains("got --model gpt2:d12"));
}

}  // namespace
}  // namespace inkling
