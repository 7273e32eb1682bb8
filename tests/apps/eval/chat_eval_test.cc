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
  return evaluate_chats(model, Tokenizer::bytes(), std::vector<Conversation>{conversation}, mode, "f.jsonl",
                        [](const ChatResult&) {});
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
  CHECK_THROWS_WITH(evaluate(conversation, LongContext::fail),
                    contains("f.jsonl: conversation 1 is longer than the model's context of 64 tokens; "
                             "--cut-context leaves out its oldest turns"));
  const ChatResult cut = evaluate(conversation, LongContext::cut);
  CHECK(cut.conversations == 1);
  CHECK(cut.cut_contexts == 1);
  CHECK(cut.right == 1);
  const Conversation alone{{{Role::user, long_text}, {Role::assistant, long_text}}};
  CHECK_THROWS_WITH(evaluate(alone, LongContext::cut), contains("even without its oldest turns"));
}

TEST_CASE("chat eval: the command reads conversations and prints the exact match") {
  const TemporaryDirectory temporary;
  GPT2 model = alphabet_model();
  save_model(temporary / "model.bin", model.config(), model.parameters().values());
  Tokenizer::bytes().write(temporary / "tokenizer.bin");
  std::string lines;
  for (const char* answer : {"abc", "no", "abc", "abc"}) lines += to_jsonl(asked(answer));
  write_text(temporary / "chats.jsonl", lines);
  const std::vector<std::string> command = {"eval", "--model", temporary / "model.bin", "--chat",
                                            temporary / "chats.jsonl"};
  const Outcome outcome = run(command + std::vector<std::string>{"--json"});
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const json result = json::parse(outcome.out);
  CHECK(result.at("conversations") == 4);
  CHECK(result.at("right") == 3);
  CHECK(result.at("exact_match") == 0.75);
  CHECK(result.at("cut_contexts") == 0);
  CHECK_THAT(run(command).out, contains("exact match     75.00% (3 of 4)"));
  write_text(temporary / "chats.jsonl", lines + "{\"text\": \"a\"}\n");
  expect(command, 1, {"is a document, expected a conversation"});
  write_text(temporary / "chats.jsonl", lines + "{}\n");
  expect(command, 1, {"chats.jsonl: line 5"});
  expect({"eval", "--model", "tests/goldens/small.bin", "--chat", temporary / "chats.jsonl"}, 2,
         {"--chat needs a tokenizer"});
}

}  // namespace
}  // namespace inkling
