// inkling inspect --show: what a model learns from a shard or from conversations, on small files.
#include <algorithm>
#include <sstream>

#include "apps/chat/packing.h"
#include "apps/tokenizer/tokenizer.h"
#include "tests/apps/process.h"
#include "tests/apps/pseudo_terminal.h"
#include "tests/apps/run/tiny_run.h"

namespace inkling {
namespace {

using namespace inkling::test;

const std::string kGpt2 = "tests/goldens/gpt2_tokenizer.bin";

Outcome inspect(const std::vector<std::string>& arguments) {
  return run(std::vector<std::string>{"inspect"} + arguments);
}

TEST_CASE("inspect show: the targets of a shard are its next tokens, with ids or with the tokens' bytes") {
  const TemporaryDirectory temporary;
  write_shard(temporary / "my_train.bin", std::vector<std::int32_t>{2, 0, 1, 0}, 3);
  CHECK(inspect({temporary / "my_train.bin", "--show"}).out ==
        "position  token   target  counts\n"
        "       0  2       0       yes\n"
        "       1  0       1       yes\n"
        "       2  1       0       yes\n"
        "3 of these 3 targets count\n");
  Tokenizer({"a", "b\n\33", "<|endoftext|>"}, 2).write(temporary / "my_tokenizer.bin");
  CHECK(inspect({temporary / "my_train.bin", "--show", "--from", "1", "--tokens", "1"}).out ==
        "position  token      target     counts\n"
        "       1  \"a\"        \"b\\n\\x1b\"  yes\n"
        "1 of these 1 targets count\n");
}

TEST_CASE("inspect show: of packed conversations, answers count, and each beginning is marked") {
  const TemporaryDirectory temporary;
  PackedShardWriter writer(temporary / "c_train.bin", 3, 2, 4);
  writer.add({{2, 0, 1, 2}, {0, 0, 1, 1}});
  writer.commit();
  Tokenizer({"q", "a", "<|endoftext|>"}, 2).write(temporary / "c_tokenizer.bin");
  CHECK(inspect({temporary / "c_train.bin", "--show"}).out ==
        "position  token          target         counts\n"
        "--------  a document begins\n"
        "       0  <|endoftext|>  \"q\"            no\n"
        "       1  \"q\"            \"a\"            yes\n"
        "       2  \"a\"            <|endoftext|>  yes\n"
        "       3  <|endoftext|>  <|endoftext|>  no\n"
        "2 of these 4 targets count\n");
}

TEST_CASE("inspect show: of the conversation about France, exactly the answer and its end count") {
  const TemporaryDirectory temporary;
  write_text(temporary / "c.jsonl",
             R"({"messages": [{"role": "user", "content": "What is the capital of France?"}, )"
             R"({"role": "assistant", "content": "The capital of France is Paris."}]})"
             "\n{\"text\": \"Hi there\"}\n");
  const std::string path = temporary / "c.jsonl";
  const std::string shown = inspect({path, "--tokenizer", kGpt2}).out;
  std::string counted;
  std::istringstream lines(shown.substr(0, shown.find("--------", shown.find("Paris"))));
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with("yes")) counted += line.substr(25, line.rfind("  yes") - 25) + "/";
  }
  CHECK_THAT(counted, contains("\"The\""));
  CHECK(std::count(counted.begin(), counted.end(), '/') == 8);
  CHECK_THAT(counted, contains("\".\""));
  CHECK_THAT(counted, contains("<|endoftext|>"));
  CHECK_THAT(shown, contains("10 of these"));  // and the two tokens of the document
  CHECK(inspect({path, "--tokenizer", kGpt2, "--tokens", "5"}).out.find("0 of these 5 targets count") !=
        std::string::npos);
  CHECK_THAT(inspect({path, "--tokenizer", kGpt2, "--from", "23"}).out, contains("of these"));
}

TEST_CASE("inspect show: in a terminal, targets that count are green and the others grey") {
  const TemporaryDirectory temporary;
  PackedShardWriter writer(temporary / "c_train.bin", 3, 2, 4);
  writer.add({{2, 0, 1, 2}, {0, 0, 1, 1}});
  writer.commit();
  const Environment term("TERM", "xterm"), colour("NO_COLOR", nullptr);
  const std::string shown = run_on_terminal({"inspect", temporary / "c_train.bin", "--show"}).out;
  CHECK_THAT(shown, contains("\33[90m0       no\33[0m"));
  CHECK_THAT(shown, contains("\33[32m1       yes\33[0m"));
}

TEST_CASE("inspect show: wrong positions, ids and missing tokenizers are named") {
  const TemporaryDirectory temporary;
  write_shard(temporary / "my_train.bin", std::vector<std::int32_t>{2, 0, 1, 0}, 3);
  const auto error = [](const std::vector<std::string>& arguments) {
    const Outcome outcome = inspect(arguments);
    CHECK(outcome.status == 1);
    return outcome.err;
  };
  CHECK_THAT(error({temporary / "my_train.bin", "--show", "--from", "3"}),
             contains("--from is 3, expected at most 2, the last position with a target"));
  const Outcome without = inspect({temporary / "my_train.bin", "--from", "1"});
  CHECK(without.status == 2);
  CHECK_THAT(without.err, contains("--from needs --show, or a .jsonl file"));
  Tokenizer({"a", "<|endoftext|>"}, 1).write(temporary / "my_tokenizer.bin");
  CHECK_THAT(error({temporary / "my_train.bin", "--show"}),
             contains("token 0 is 2, expected 0 .. V-1=1"));
  write_text(temporary / "c.jsonl", "{\"text\": \"Hi\"}\n");
  CHECK_THAT(error({temporary / "c.jsonl"}), contains("--tokenizer is missing"));
  CHECK_THAT(error({temporary / "c.jsonl", "--tokenizer", kGpt2, "--from", "1"}),
             contains("--from is 1, expected at most 0"));
}

}  // namespace
}  // namespace inkling
