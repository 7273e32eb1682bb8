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
        "this target counts\n");
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
  CHECK_THAT(shown,
             contains("11 of these"));  // and the two tokens of the document with the end-of-text after it
  CHECK(inspect({path, "--tokenizer", kGpt2, "--tokens", "5"}).out.find("0 of these 5 targets count") !=
        std::string::npos);
  CHECK_THAT(inspect({path, "--tokenizer", kGpt2, "--from", "25"}).out, contains("this target counts"));
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
  CHECK_THAT(error({temporary / "my_train.bin", "--show"}), contains("token 0 is 2, expected 0 .. V-1=1"));
  write_text(temporary / "c.jsonl", "{\"text\": \"Hi\"}\n");
  CHECK_THAT(error({temporary / "c.jsonl"}), contains("--tokenizer is missing"));
  CHECK_THAT(error({temporary / "c.jsonl", "--tokenizer", kGpt2, "--from", "2"}),
             contains("--from is 2, expected at most 1"));
}

std::string chat_line(const std::string& turns) {
  return "{\"messages\": [" + turns + "]}\n";
}
std::string exchange(const std::string& question, const std::string& answer) {
  return R"({"role": "user", "content": ")" + question + R"("}, {"role": "assistant", "content": ")" +
         answer + "\"}";
}

TEST_CASE(
    "inspect show: of JSON lines, bad lines are named, skipped and counted; --strict stops at the first") {
  const TemporaryDirectory temporary;
  const std::string path = temporary / "c.jsonl";
  write_text(path, "{\n" + chat_line(exchange("Who?", "Ann.")) + "{}\n");
  const Outcome outcome = inspect({path, "--tokenizer", kGpt2});
  CHECK(outcome.status == 0);
  CHECK_THAT(outcome.out, contains("--------  line 2: a conversation\n"));
  CHECK_THAT(outcome.err, contains("skipped " + path + ": line 1: not valid JSON"));
  CHECK_THAT(outcome.err, contains(path + ": line 3: has none of the keys"));
  CHECK_THAT(outcome.err, contains("inkling: skipped 2 bad lines\n"));
  CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 3);
  expect({"inspect", path, "--tokenizer", kGpt2, "--strict"}, 1, {"c.jsonl: line 1: not valid JSON"});
  write_text(path, "{\n{}\n");
  const Outcome nothing = inspect({path, "--tokenizer", kGpt2});
  CHECK(nothing.status == 1);
  CHECK_THAT(nothing.err, contains("has no conversation and no document, expected at least one"));
}

TEST_CASE(
    "inspect show: of JSON lines, --seq-len shows the turns and conversations that tokenize leaves out") {
  const TemporaryDirectory temporary;
  const std::string path = temporary / "c.jsonl", bytes = temporary / "bytes.bin";
  Tokenizer::bytes().write(bytes);
  const std::string first = exchange("Twenty letters here?", "Yes"), last = exchange("Who?", "Ann.");
  write_text(path, chat_line(first + ", " + last) + chat_line(exchange(std::string(90, 'x'), "No.")) +
                       chat_line(last) + "{\"text\": \"" + std::string(50, 'd') + "\"}\n");
  const std::string whole = inspect({path, "--tokenizer", bytes, "--tokens", "1000"}).out;
  CHECK_THAT(whole, contains("--------  line 1: a conversation\n") &&
                        contains("--------  line 2: a conversation\n"));
  CHECK_THAT(whole, contains("the whole file: 3 conversations, 1 document, counted targets 69 of "));
  const std::string shown = inspect({path, "--tokenizer", bytes, "--seq-len", "40", "--tokens", "1000"}).out;
  CHECK_THAT(shown, contains("--------  line 1: a conversation without its 2 oldest turns\n"));
  CHECK_THAT(
      shown,
      contains("--------  line 2: this conversation is left out, because even its shortest exchange is "
               "too long\n"));
  CHECK_THAT(shown, contains("--------  line 3: a conversation\n"));
  CHECK_THAT(shown, contains("--------  line 4: a document\n"));
  CHECK_THAT(shown, contains("--------  line 4: the document goes on in another row\n"));
  CHECK_THAT(shown, contains("1 conversation lost the oldest turns, 2 in all, to fit into 41 tokens\n"));
  CHECK_THAT(
      shown,
      contains("left out 1 conversation, because even the shortest exchange has more than 41 tokens\n"));
  CHECK_THAT(shown, contains("cut 1 document into rows of 41 tokens\n"));
  // tokenize counts the same targets.
  const Outcome made = run({"tokenize", "--input", path, "--tokenizer", bytes, "--seq-len", "40",
                            "--val-fraction", "0", "--out", temporary / "out"});
  CHECK_THAT(made.out, contains("60 tokens of answers and documents count as targets"));
  CHECK_THAT(shown, contains("counted targets 60 of "));
  CHECK_THAT(made.out, contains("1 conversation lost the oldest turns, 2 in all, to fit into 41 tokens\n"));
  CHECK(inspect({temporary / "out_train.bin", "--show", "--seq-len", "40"}).status == 2);
  write_text(path, chat_line(last));
  expect({"inspect", path, "--tokenizer", bytes, "--seq-len", "12"}, 1,
         {"c.jsonl: nothing is left to learn: left out 1 conversation", "try a larger --seq-len"});
}

TEST_CASE("inspect show: on a narrow terminal every line fits") {
  const TemporaryDirectory temporary;
  const std::string path = temporary / "c.jsonl";
  write_text(path,
             chat_line(exchange("Who wrote incomprehensibilities and counterrevolutionaries?", "Ann.")) +
                 chat_line(exchange("Who?", "Ann.")));
  const Environment type("TERM", "dumb");
  for (const unsigned short columns : std::initializer_list<unsigned short>{60, 40}) {
    const std::string shown =
        run_on_terminal({"inspect", path, "tests/goldens/small.bin", "tests/goldens/curve_tokens.bin", kGpt2,
                         "--tokenizer", kGpt2, "--seq-len", "20"},
                        columns)
            .out;
    std::istringstream lines(shown);
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(line.size() <= columns);
    }
    CHECK_THAT(shown, contains("left out 1 conversation"));
  }
}

}  // namespace
}  // namespace inkling
