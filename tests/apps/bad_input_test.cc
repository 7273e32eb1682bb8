// Wrong files, flags and directories. Each must give one line on stderr (what is wrong, where, expected and
// got) and exit status 1, or 2 for a wrong command line.
#include <optional>

#include "apps/run/run_directory.h"
#include "core/binary_file.h"
#include "nn/file_header.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

const std::vector<std::string> kModel = {"--vocab-size", "131", "--layers",  "1", "--heads",      "2",
                                         "--channels",   "16",  "--seq-len", "8", "--batch-size", "2",
                                         "--steps",      "2"};

// The bytes of a shard of `tokens`. Its header can claim a wrong number of tokens.
std::string shard(const std::vector<std::uint16_t>& tokens, std::int64_t claimed = -1,
                  std::int32_t magic = 20240520) {
  Header h;
  h[0] = magic, h[1] = 1, h[2] = static_cast<std::int32_t>(claimed < 0 ? std::ssize(tokens) : claimed);
  std::string bytes(reinterpret_cast<const char*>(&h), sizeof h);
  return bytes + std::string(reinterpret_cast<const char*>(tokens.data()), tokens.size() * 2);
}

TEST_CASE("bad input: missing, empty, truncated and wrong files, and directories, are refused") {
  const TemporaryDirectory t;
  const auto train_on = [&](const std::string& data) {
    return std::vector<std::string>{"train", "--out", t / "run", "--data", data} + kModel;
  };
  const std::vector<std::uint16_t> tokens(100, 7);
  expect(train_on(t / "missing.bin"), 1, {"missing.bin"});
  expect(train_on(t.path()), 1, {"is a directory"});
  write_text(t / "empty.bin", "");
  expect(train_on(t / "empty.bin"), 1, {"empty.bin", "is empty"});
  write_text(t / "short.bin", shard(tokens).substr(0, 700));
  expect(train_on(t / "short.bin"), 1, {"short.bin", "truncated", "1024", "700"});
  write_text(t / "cut.bin", shard(tokens).substr(0, 1024 + 150));
  expect(train_on(t / "cut.bin"), 1, {"cut.bin", "1224", "1174"});
  write_text(t / "liar.bin", shard(tokens, 2'000'000'000));
  expect(train_on(t / "liar.bin"), 1, {"liar.bin", "1224"});
  write_text(t / "negative.bin", shard(tokens, -2));
  std::string negative = shard(tokens);
  const std::int32_t minus = -100;
  std::memcpy(negative.data() + 8, &minus, 4);
  write_text(t / "negative.bin", negative);
  expect(train_on(t / "negative.bin"), 1, {"negative.bin", "-100"});
  write_text(t / "magic.bin", shard(tokens, -1, 99));
  expect(train_on(t / "magic.bin"), 1, {"magic.bin", "the magic number is 99", "20240520"});
  write_text(t / "swapped.bin", shard(tokens, -1, static_cast<std::int32_t>(__builtin_bswap32(20240520))));
  expect(train_on(t / "swapped.bin"), 1, {"swapped"});
  expect({"inspect", t / "empty.bin"}, 1, {"is empty"});
  expect({"inspect", t / "magic.bin"}, 1, {"not a file of inkling or llm.c"});
  expect({"generate", "--model", t / "magic.bin"}, 1, {"not a model checkpoint"});
  expect({"generate", "--model", t / "nothing.bin"}, 1, {"nothing.bin", "No such file"});
  expect({"tokenize", "--input", t / "nothing.txt", "--out", t / "x"}, 1, {"nothing.txt"});
}

TEST_CASE("bad input: token ids, shard lengths and dimensions that do not fit the model are refused") {
  const TemporaryDirectory t;
  std::vector<std::uint16_t> tokens(100, 7);
  tokens[41] = 131;
  write_text(t / "id.bin", shard(tokens));
  expect(std::vector<std::string>{"train", "--out", t / "run", "--data", t / "id.bin"} + kModel, 1,
         {"id.bin", "41", "131"});
  write_text(t / "small.bin", shard(std::vector<std::uint16_t>(16, 7)));
  expect(std::vector<std::string>{"train", "--out", t / "run", "--data", t / "small.bin"} + kModel, 1,
         {"small.bin", "16", "17"});
  const std::string good = "tests/goldens/curve_tokens.bin";
  const std::vector<std::string> base = {"train", "--out", t / "run", "--data", good};
  expect(base + std::vector<std::string>{"--vocab-size", "131", "--channels", "30", "--heads", "4"}, 2,
         {"(C) is 30", "(NH), which is 4"});
  expect(base + std::vector<std::string>{"--vocab-size", "131", "--layers", "0"}, 2,
         {"--layers is 0, expected a whole number from 1 to 1048576"});
  expect(
      base + std::vector<std::string>{"--vocab-size", "131", "--channels", "1048576", "--layers", "1048576"},
      2, {"parameters, expected at most"});
  expect(base + std::vector<std::string>{"--vocab-size", "131", "--max-seq-len", "8", "--seq-len", "16"}, 2,
         {"--seq-len is 16", "8"});
  expect(base + std::vector<std::string>{"--init", "tests/goldens/small.bin", "--seq-len", "25"}, 2,
         {"--seq-len is 25", "24"});
  expect(base + std::vector<std::string>{"--init", "tests/goldens/small.bin", "--layers", "3"}, 2,
         {"--init"});
  expect({"generate", "--model", "tests/goldens/small.bin", "--prompt-tokens", "1,131"}, 2,
         {"--prompt-tokens has the token id 131, expected 0 to 130"});
  expect({"generate", "--model", "tests/goldens/small.bin", "--prompt", "hello"}, 2, {"--tokenizer"});
}

TEST_CASE("bad input: a tokenizer of another vocabulary, and tokenizers given as shards, are refused") {
  const TemporaryDirectory t;
  write_text(t / "text", std::string(9000, 'x'));
  REQUIRE(run({"tokenize", "--input", t / "text", "--out", t / "a", "--bytes"}).status == 0);
  expect({"train", "--out", t / "run", "--data", t / "a_train.bin", "--vocab-size", "300"}, 1,
         {"a_tokenizer.bin", "257", "300"});
  expect({"train", "--out", t / "run", "--init", "tests/goldens/small.bin", "--seq-len", "8"}, 1,
         {"498", "small.bin has 131"});
  std::filesystem::copy(t / "a_tokenizer.bin", t / "b_tokenizer.bin");
  expect({"train", "--out", t / "run", "--data", t / "*_tokenizer.bin"}, 1, {"matches only tokenizers and token flags"});
}

TEST_CASE("bad input: the exit status is 1 if the result cannot be written to stdout") {
  const std::string command = binary() + " inspect tests/goldens/small.bin > /dev/full 2> /dev/null";
  CHECK(WEXITSTATUS(std::system(command.c_str())) == 1);
}

TEST_CASE("bad input: unknown flags and wrong values of flags are refused") {
  const TemporaryDirectory t;
  const std::vector<std::string> base = {"train", "--out", t / "run", "--data",
                                         "tests/goldens/curve_tokens.bin"};
  const auto with = [&](const std::vector<std::string>& flags) { return base + flags; };
  expect(with({"--no-such-flag"}), 2, {"--no-such-flag"});
  expect({"dance"}, 2, {"dance", "train", "inspect"});
  expect({"--dance"}, 2, {"--dance"});
  expect({}, 2, {"subcommand"});
  expect(with({"--steps", "many"}), 2, {"--steps", "many"});
  expect(with({"--steps", "-1"}), 2, {"--steps is -1"});
  expect(with({"--batch-size", "0"}), 2, {"--batch-size is 0"});
  expect(with({"--val-batches", "0"}), 2, {"--val-batches is 0"});
  expect({"generate", "--model", "tests/goldens/small.bin", "--top-k", "-1"}, 2, {"--top-k", "-1"});
  expect(with({"--seq-len", "0"}), 2, {"--seq-len is 0"});
  expect(with({"--val-data", "\xff.bin"}), 2, {"--val-data is not UTF-8"});
  expect(with({"--lr", "nan"}), 2, {"--lr is nan"});
  expect(with({"--lr", "-1"}), 2, {"--lr is -1"});
  expect(with({"--min-lr", "1", "--lr", "0.1"}), 2, {"--min-lr is 1"});
  expect(with({"--beta1", "1"}), 2, {"--beta1 is 1"});
  expect(with({"--schedule", "zigzag"}), 2, {"zigzag", "cosine"});
  expect(with({"--precision", "f8"}), 2, {"--precision is f8", "f32"});
  expect(with({"--optimizer", "adam"}), 2, {"--optimizer is adam"});
  expect(with({"--momentum", "0.9"}), 2, {"--momentum needs --optimizer sgd, got adamw"});
  for (const char* flag : {"--beta1", "--beta2", "--eps"})
    expect(with({"--optimizer", "sgd", flag, "0.5"}), 2, {flag, "needs --optimizer adamw, got sgd"});
  expect(with({"--threads", "0"}), 2, {"--threads", "1"});
  expect(with({"--model", "gpt2:d13"}), 2, {"gpt2:d13", "gpt2:d12"});
  expect(with({"--stories"}), 2, {"--stories"});
  expect({"generate", "--model", "tests/goldens/small.bin", "--temperature", "-1"}, 2, {"--temperature"});
  expect({"generate", "--model", "tests/goldens/small.bin", "--temperature", "nan"}, 2,
         {"--temperature is nan"});
  expect({"generate", "--model", "tests/goldens/small.bin", "--top-p", "1.5"}, 2, {"--top-p"});
  expect({"generate", "--model", "tests/goldens/small.bin", "--top-p", "nan"}, 2, {"--top-p is nan"});
  expect({"tokenize", "--input", "README.md", "--out", t / "x", "--val-fraction", "0.7"}, 2,
         {"--val-fraction"});
  CHECK(std::filesystem::is_empty(t.path()));  // refused commands create no files
  expect({"generate", "--model", "tests/goldens/small.bin", "--max-tokens", "0"}, 2, {"--max-tokens"});
  for (const char* flag : {"--temperature", "--top-k", "--top-p"}) {
    expect({"generate", "--model", "tests/goldens/small.bin", "--greedy", flag, "1"}, 2,
           {"--greedy", " excludes ", flag});
  }
}

TEST_CASE("bad input: unusable output directories, and flags that contradict a saved run, are refused") {
  const TemporaryDirectory t;
  const std::vector<std::string> data = {"--data", "tests/goldens/curve_tokens.bin"};
  write_text(t / "file", "x");
  expect(std::vector<std::string>{"train", "--out", t / "file"} + data + kModel, 1, {"file"});
  expect({"train", "--out", "/proc/inkling", "--data", "tests/goldens/curve_tokens.bin"}, 1,
         {"/proc/inkling"});
  expect({"train", "--out", t / "none", "--resume"}, 2, {"no run to resume"});
  REQUIRE(run(std::vector<std::string>{"train", "--out", t / "run"} + data + kModel).status == 0);
  expect(std::vector<std::string>{"train", "--out", t / "run"} + data + kModel, 2,
         {"already has a run", "--resume"});
  expect({"train", "--out", t / "run", "--resume", "--lr", "0.5"}, 2, {"lr", "0.5"});
  expect({"train", "--out", t / "run", "--resume", "--layers", "3"}, 2, {"layers", "3"});
  expect({"train", "--out", t / "run", "--resume", "--steps", "1"}, 2, {"--steps is 1", "taken 2"});
  write_text(t / "run/config.json", "{\"steps\": 3");
  expect({"train", "--out", t / "run", "--resume"}, 1, {"config.json", "not valid JSON"});
  write_text(t / "run/config.json", "[]");
  expect({"train", "--out", t / "run", "--resume"}, 1, {"config.json", "not the settings of a run"});
  std::filesystem::remove(t / "run/config.json");
  expect(std::vector<std::string>{"train", "--out", t / "run"} + data + kModel, 2, {"already has a run"});
}

TEST_CASE("bad input: a full disk stops the run with one line, and the last checkpoint is undamaged") {
  if (geteuid() != 0) skip("only root can mount a disk to fill");
  const TemporaryDirectory t;
  std::filesystem::create_directory(t / "disk");
  if (std::system(("mount -t tmpfs -o size=600k tmpfs " + t / "disk" + " 2>/dev/null").c_str()) != 0)
    skip("no tmpfs can be mounted here");
  const Outcome outcome = run(twenty_steps(t / "disk/run") + std::vector<std::string>{"--save-every", "1"});
  std::optional<RunDirectory::Checkpoint> newest;
  {
    RunDirectory directory(t / "disk/run");
    newest = directory.newest_checkpoint([](const std::string& damage) { FAIL_CHECK(damage); });
  }
  CHECK_FALSE(std::filesystem::exists(t / "disk/run/checkpoints/.unfinished"));
  const auto clean = std::system(("umount -l " + t / "disk").c_str());
  CHECK(clean == 0);
  INFO(outcome.err);
  CHECK(outcome.status == 1);
  const std::size_t last_line = outcome.err.rfind('\n', outcome.err.size() - 2) + 1;
  CHECK_THAT(outcome.err.substr(last_line), contains("inkling: ") && contains("No space left"));
  CHECK(outcome.err.find("No space left") >= last_line);
  CHECK(newest.has_value());
}

}  // namespace
}  // namespace inkling
