// inkling eval --chat: a model is right if it writes exactly the last answer.
#include "apps/eval/chat_eval.h"

#include <nlohmann/json.hpp>

#include "apps/chat/story_chats.h"
#include "core/error.h"
#include "nn/checkpoint.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

// A model of bytes whose next token depends only on the position: a, b, c, end-of-text, a, b, ...
GPT2 alphabet_model() {
  GPT2 model({.max_seq_len = 64, .vocab_size = 257, .layers = 1, .heads = 1, .channels = 8});
  std::fill(model.parameters().values().begin(), model.parameters().values().end(), 0.0f);
  const auto wte = model.parameters().values_of(kWte), wpe = model.parameters().values_of(kWpe),
             lnfw = model.parameters().values_of(kLnfw);
  std::fill(lnfw.begin(), lnfw.end(), 1.0f);
  constexpr std::size_t kCycle[] = {'a', 'b', 'c', 256};
  for (std::size_t i = 0; i < 4; ++i) wte[kCycle[i] * 8 + i] = 1;
  for (std::size_t position = 0; position < 64; ++position) wpe[position * 8 + position % 4] = 100;
  return model;
}

Conversation asked(const std::string& answer) {  // the prompt has 21 tokens, so the model writes abc
  return {{{Role::user, "x"}, {Role::assistant, answer}}};
}

ChatResult evaluate(const Conversation& conversation, LongContext mode = LongContext::fail) {
  GPT2 model = alphabet_model();
  return evaluate_chats(
      model, Tokenizer::bytes(), std::vector<Conversation>{conversation}, mode,
      [](std::size_t) { return "f.jsonl: line 7"; }, [](const ChatResult&) {});
}

TEST_CASE("chat eval: only exactly the answer and then end-of-text is right") {
  CHECK(evaluate(asked("abc")).right == 1);
  for (const char* wrong : {"abcx", "abca", "ab", "a", "xabc", "x"}) CHECK(evaluate(asked(wrong)).right == 0);
}

TEST_CASE("chat eval: the last answer counts, and a conversation that is too long is an error or is cut") {
  // This prompt has 43 tokens, so the model writes c.
  Conversation two{{{Role::user, "x"}, {Role::assistant, "y"}, {Role::user, "x"}, {Role::assistant, "c"}}};
  CHECK(evaluate(two).right == 1);
  two.turns.push_back({Role::user, "a question without an answer"});
  CHECK(evaluate(two).right == 1);
  const std::string long_text(40, 'q');
  const Conversation conversation{
      {{Role::user, long_text}, {Role::assistant, "y"}, {Role::user, "x"}, {Role::assistant, "abc"}}};
  CHECK_THROWS_WITH(
      evaluate(conversation, LongContext::fail),
      contains("f.jsonl: line 7: the conversation is longer than the model's context of 64 tokens; "
               "--cut-context leaves out its oldest turns"));
  const ChatResult cut = evaluate(conversation, LongContext::cut);
  CHECK(cut.conversations == 1);
  CHECK(cut.cut_contexts == 1);
  CHECK(cut.right == 1);
  const Conversation alone{{{Role::user, long_text}, {Role::assistant, long_text}}};
  CHECK_THROWS_WITH(evaluate(alone, LongContext::fail),
                    contains("even without its oldest turns; --cut-context counts it as wrong"));
  const ChatResult too_long = evaluate(alone, LongContext::cut);
  CHECK(too_long.conversations == 1);
  CHECK(too_long.too_long == 1);
  CHECK(too_long.cut_contexts == 0);
  CHECK(too_long.right == 0);
}

// A directory with the model of the alphabet and a file of conversations.
struct Alphabet {
  TemporaryDirectory directory;
  std::vector<std::string> command = {"eval", "--model", directory / "model.bin", "--chat",
                                      directory / "chats.jsonl"};

  explicit Alphabet(const std::string& lines) {
    GPT2 model = alphabet_model();
    save_model(directory / "model.bin", model.config(), model.parameters().values());
    Tokenizer::bytes().write(directory / "tokenizer.bin");
    write_text(directory / "chats.jsonl", lines);
  }
  Outcome run(const std::vector<std::string>& flags) const { return test::run(command + flags); }
};

TEST_CASE("chat eval: the command reads conversations and prints the exact match") {
  std::string lines;
  for (const char* answer : {"abc", "no", "abc", "abc"}) lines += to_jsonl(asked(answer));
  const Alphabet files(lines);
  const Outcome outcome = files.run({"--json"});
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const json result = json::parse(outcome.out);
  CHECK(result.at("conversations") == 4);
  CHECK(result.at("right") == 3);
  CHECK(result.at("exact_match") == 0.75);
  CHECK(result.at("cut_contexts") == 0);
  CHECK_THAT(files.run({}).out, contains("exact match     75.00% (3 of 4)"));
  expect({"eval", "--model", "tests/goldens/small.bin", "--chat", files.directory / "chats.jsonl"}, 2,
         {"--chat needs a tokenizer"});
}

TEST_CASE("chat eval: bad lines and documents are named, skipped and counted; --strict stops at the first") {
  const Alphabet files(to_jsonl(asked("abc")) + "{\n{\"text\": \"a\"}\n" + to_jsonl(asked("no")));
  const Outcome outcome = files.run({"--json"});
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const json result = json::parse(outcome.out);
  CHECK(result.at("conversations") == 2);
  CHECK(result.at("right") == 1);
  CHECK(result.at("bad_lines") == 2);
  CHECK_THAT(outcome.err,
             contains("skipped " + files.directory.path() + "/chats.jsonl: line 2: not valid JSON"));
  CHECK_THAT(outcome.err, contains("chats.jsonl: line 3: is a document, expected a conversation"));
  CHECK_THAT(outcome.err, contains("inkling: skipped 2 bad lines\n"));
  expect(files.command + std::vector<std::string>{"--strict"}, 1, {"chats.jsonl: line 2: not valid JSON"});

  const Alphabet nothing("{\"text\": \"a\"}\n{}\n");
  const Outcome none = nothing.run({});
  CHECK(none.status == 1);
  CHECK(none.out.empty());
  CHECK_THAT(none.err,
             contains("chats.jsonl: has no conversation, expected at least one; 2 bad lines, the first is"));
}

TEST_CASE(
    "chat eval: with --cut-context, an exchange that is too long counts as wrong, and the output says so") {
  const std::string long_text(70, 'q');
  const Alphabet files(to_jsonl(asked("abc")) +
                       to_jsonl({{{Role::user, long_text}, {Role::assistant, "abc"}}}));
  expect(files.command, 1,
         {"chats.jsonl: line 2: the conversation is longer than the model's context of 64 tokens"});
  const json result = json::parse(files.run({"--cut-context", "--json"}).out);
  CHECK(result.at("conversations") == 2);
  CHECK(result.at("right") == 1);
  CHECK(result.at("too_long") == 1);
  const std::string text = files.run({"--cut-context"}).out;
  CHECK_THAT(text, contains("exact match     50.00% (1 of 2)"));
  CHECK_THAT(text, contains("too long        1: the last question and answer alone do not fit into 64 "
                            "tokens; counted as wrong"));
}

}  // namespace
}  // namespace inkling
