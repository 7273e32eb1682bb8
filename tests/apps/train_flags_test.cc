// The flags of `inkling train`: each flag changes its setting, and no other.
#include <filesystem>
#include <set>

#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "tests/apps/command_line.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

const Words kText = {"--data", "tests/goldens/curve_tokens.bin"};

// A run saves absolute paths.
std::string absolute(const std::string& path) {
  return std::filesystem::absolute(path).string();
}

// A flag, the rest of the command line, and all settings that the flag changes.
struct Row {
  Words flag;
  Words others;
  json settings;  // {"/path": value}
};

const std::vector<Row>& rows() {
  static const std::vector<Row> all = {
      {{"--val-data", "tests/goldens/curve_tokens.bin"},
       kText,
       {{"/val_data", absolute("tests/goldens/curve_tokens.bin")}}},
      {{"--batch-size", "3"}, kText, {{"/batch_size", 3}}},
      {{"--replicas", "4"}, kText, {{"/replicas", 4}}},
      {{"--seq-len", "48"}, kText, {{"/seq_len", 48}, {"/model/max_seq_len", 48}}},  // maxT follows T
      {{"--seq-len", "48"}, kText + Words{"--max-seq-len", "300"}, {{"/seq_len", 48}}},
      {{"--no-shuffle"}, kText, {{"/shuffle", false}}},
      {{"--layers", "3"}, kText, {{"/model/layers", 3}}},
      {{"--heads", "8"}, kText, {{"/model/heads", 8}}},
      {{"--channels", "64"}, kText, {{"/model/channels", 64}}},
      {{"--max-seq-len", "300"}, kText, {{"/model/max_seq_len", 300}}},
      {{"--vocab-size", "131"}, kText, {{"/model/vocab_size", 131}}},
      {{"--model", "gpt2:d24"},
       kText + Words{"--model", "gpt2:d12"},
       {{"/model/layers", 24}, {"/model/heads", 16}, {"/model/channels", 1024}}},
      // The warm-up and the intervals for validation, samples and checkpoints follow the steps.
      {{"--steps", "50"},
       kText,
       {{"/steps", 50}, {"/warmup", 5}, {"/val_every", 10}, {"/sample_every", 10}, {"/save_every", 10}}},
      {{"--grad-accum", "4"}, kText, {{"/grad_accum", 4}}},
      {{"--optimizer", "sgd"}, kText, {{"/optimizer", "sgd"}}},
      {{"--lr", "0.25"}, kText, {{"/lr", 0.25}}},
      {{"--min-lr", "0.0005"}, kText, {{"/min_lr", 0.0005}}},
      {{"--warmup", "17"}, kText, {{"/warmup", 17}}},
      {{"--schedule", "linear"}, kText, {{"/schedule", "linear"}}},
      {{"--weight-decay", "0.3"}, kText, {{"/weight_decay", 0.3}}},
      {{"--beta1", "0.7"}, kText, {{"/beta1", 0.7}}},
      {{"--beta2", "0.8"}, kText, {{"/beta2", 0.8}}},
      {{"--eps", "0.001"}, kText, {{"/eps", 0.001}}},
      {{"--momentum", "0.5"}, kText + Words{"--optimizer", "sgd"}, {{"/momentum", 0.5}}},
      {{"--grad-clip", "2.5"}, kText, {{"/grad_clip", 2.5}}},
      {{"--local-steps", "50"}, kText, {{"/local_steps", 50}}},
      {{"--local-steps-dtype", "bf16"},
       kText + Words{"--local-steps", "50"},
       {{"/local_steps_dtype", "bf16"}}},
      {{"--outer-lr", "0.5"}, kText + Words{"--local-steps", "50"}, {{"/outer_lr", 0.5}}},
      {{"--outer-momentum", "0.8"}, kText + Words{"--local-steps", "50"}, {{"/outer_momentum", 0.8}}},
      {{"--precision", "bf16"}, kText + Words{"--precision", "f32"}, {{"/precision", "bf16"}}},
      {{"--recompute"}, kText, {{"/recompute", true}}},
      {{"--seed", "18446744073709551615"}, kText, {{"/seed", 18446744073709551615u}}},
      {{"--val-every", "6"}, kText, {{"/val_every", 6}}},
      {{"--val-batches", "9"}, kText, {{"/val_batches", 9}}},
      {{"--sample-every", "7"}, kText, {{"/sample_every", 7}}},
      {{"--save-every", "8"}, kText, {{"/save_every", 8}}},
  };
  return all;
}

// The words without `flag` and its value.
Words without(const Words& words, const std::string& flag) {
  const auto at = std::find(words.begin(), words.end(), flag);
  return at == words.end() ? words : Words(words.begin(), at) + Words(at + 2, words.end());
}

json changes(const Words& before, const Words& after) {
  const json was = json(resolve_words(before)).flatten(), is = json(resolve_words(after)).flatten();
  json changed = json::object();
  for (const auto& [path, value] : is.items()) {
    if (was.at(path) != value) changed[path] = value;
  }
  return changed;
}

TEST_CASE("train flags: each flag changes its setting, and no other") {
  for (const Row& row : rows()) {
    INFO(row.flag.front());
    CHECK(changes(row.others, without(row.others, row.flag.front()) + row.flag) == row.settings);
  }
}

TEST_CASE("train flags: --shuffle and --no-recompute are the defaults") {
  CHECK(changes(kText, kText + Words{"--shuffle"}) == json::object());
  CHECK(changes(kText, kText + Words{"--no-recompute"}) == json::object());
}

TEST_CASE("train flags: --data, --tokenizer and --init choose the files of a run") {
  CHECK(resolve_words(kText).data == absolute("tests/goldens/curve_tokens.bin"));
  CHECK(resolve_words({"--data", "tests/goldens/curve_tok*.bin"}).data ==
        absolute("tests/goldens/curve_tok*.bin"));
  const TemporaryDirectory temporary;
  Tokenizer::bytes().write(temporary / "bytes.bin");
  const std::string path = temporary / "bytes.bin";
  CHECK(changes(kText, kText + Words{"--tokenizer", path}) ==
        json{{"/tokenizer", path}, {"/model/vocab_size", 257}});
  const TrainSettings from = resolve_words(kText + Words{"--init", "tests/goldens/small.bin"});
  CHECK(from.init == absolute("tests/goldens/small.bin"));
  CHECK(from.model ==
        GPT2Config{.max_seq_len = 24, .vocab_size = 131, .layers = 2, .heads = 3, .channels = 30});
}

TEST_CASE("train flags: --stories is the default without --data, and is refused together with --data") {
  CHECK(changes({}, {"--stories"}) == json::object());
  CHECK(resolve_words({"--stories"}).stories());
  CHECK_THROWS_WITH(parse_train(kText + Words{"--stories"}), contains("--stories"));
}

TEST_CASE("train flags: --out, --threads, --resume, --profile and --trace reach the command") {
  const TrainCommand none = parse_train({});
  CHECK(none.out == "runs/stories");
  CHECK(none.threads == hardware_threads());
  CHECK_FALSE(none.resume);
  CHECK_FALSE(none.profile);
  CHECK(none.trace.empty());
  CHECK(none.flags.given == json::object());
  CHECK(none.flags.model_name.empty());
  CHECK(parse_train({"--out", "x"}).out == "x");
  CHECK(parse_train({"--threads", "1"}).threads == 1);
  CHECK(parse_train({"--threads", "1024"}).threads == 1024);
  CHECK_THROWS_WITH(parse_train({"--threads", "0"}), contains("--threads"));
  CHECK_THROWS_WITH(parse_train({"--threads", "1025"}), contains("--threads"));
  CHECK(parse_train({"--resume"}).resume);
  CHECK(parse_train({"--profile"}).profile);
  CHECK(parse_train({"--print-config"}).print_config);
  CHECK(parse_train({"--trace", "t.json"}).trace == "t.json");
}

TEST_CASE("train flags: every flag is in the list of tested flags") {
  std::set<std::string> tested = {"help",    "document-mask", "loss-mask", "data",    "tokenizer",
                                  "init",    "stories",       "out",       "threads", "resume",
                                  "profile", "trace",         "recompute", "shuffle", "print-config"};
  for (const Row& row : rows()) tested.insert(row.flag.front().substr(2));
  CLI::App app;
  TrainCommand command;
  add_train_flags(app, command);
  for (const CLI::Option* option : app.get_options()) {
    INFO(option->get_name());
    CHECK(tested.contains(option->get_lnames().front()));
  }
}

// A flag without an effect is an error, because the user expects an effect.
TEST_CASE("train flags: a flag that has no effect with the other settings is refused") {
  const auto refused = [](const Words& flags, const char* why) {
    CHECK_THROWS_WITH(resolve_words(kText + flags), contains(why));
    CHECK_THROWS_AS(resolve_words(kText + flags), UsageError);
  };
  refused({"--momentum", "0.9"}, "--momentum needs --optimizer sgd, got adamw");
  for (const char* flag : {"--beta1", "--beta2", "--eps"})
    refused({"--optimizer", "sgd", flag, "0.5"}, "needs --optimizer adamw, got sgd");
  refused({"--local-steps-dtype", "bf16"}, "--local-steps-dtype needs --local-steps");
  for (const char* flag : {"--outer-lr", "--outer-momentum"})
    refused({flag, "0.5"}, "needs --local-steps");
  for (const char* flag : {"--layers", "--heads", "--channels", "--max-seq-len", "--vocab-size"})
    refused({"--init", "tests/goldens/small.bin", flag, "6"}, "the model's shape comes from --init");
  refused({"--init", "tests/goldens/small.bin", "--model", "gpt2:d12"},
          "the model's shape comes from --init");
  refused({"--schedule", "constant", "--min-lr", "0.0001"},
          "--min-lr needs --schedule linear, cosine or wsd, got constant");
  for (const char* flag : {"--val-data", "--tokenizer"})
    CHECK_THROWS_WITH(resolve_words({flag, "tests/goldens/curve_tokens.bin"}), contains("needs --data"));
}

}  // namespace
}  // namespace inkling
