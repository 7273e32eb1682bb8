// The chat template: which tokens a conversation becomes, which count, and what is left out if it is too
// long.
#include "apps/chat/chat_template.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/catch.h"

namespace inkling {
namespace {

using Ids = std::vector<std::int32_t>;

const Turn kQuestion = {Role::user, "What's the capital of France?"};
const Turn kAnswer = {Role::assistant, "The capital of France is Paris."};

Ids counted_ids(const ChatTokens& tokens) {
  Ids ids;
  for (std::size_t i = 0; i < tokens.ids.size(); ++i) {
    if (tokens.counted[i] != 0) ids.push_back(tokens.ids[i]);
  }
  return ids;
}

Ids encoded(const Tokenizer& tokenizer, const std::vector<std::string>& segments) {
  Ids ids;
  for (const std::string& segment : segments) {
    if (segment == "<e>") {
      ids.push_back(tokenizer.end_of_text());
    } else {
      const Ids more = tokenizer.encode(segment);
      ids.insert(ids.end(), more.begin(), more.end());
    }
  }
  return ids;
}

TEST_CASE("chat template: with GPT-2's ids, exactly the answer and its end-of-text count") {
  const Tokenizer gpt2 = Tokenizer::read("tests/goldens/gpt2_tokenizer.bin");
  ChatTemplate chat(gpt2);
  const ChatTokens tokens = chat.encode({{kQuestion, kAnswer}});
  // "\n" is 198, "User" 12982, "Assistant" 48902, ":" 25, " " 220, end-of-text 50256.
  CHECK(tokens.ids == Ids{50256, 198,   12982, 25,  220, 2061, 338, 262,  3139, 286,  4881, 30,
                          198,   48902, 25,    220, 464, 3139, 286, 4881, 318,  6342, 13,   50256});
  CHECK(counted_ids(tokens) == Ids{464, 3139, 286, 4881, 318, 6342, 13, 50256});
  Ids answer = counted_ids(tokens);
  answer.pop_back();
  CHECK(gpt2.decode(answer) == "The capital of France is Paris.");
}

TEST_CASE("chat template: every turn has its prefix, and only the assistant's turns end with end-of-text") {
  const Tokenizer bytes = Tokenizer::bytes();
  ChatTemplate chat(bytes);
  const ChatTokens tokens = chat.encode({{{Role::system, "s"},
                                          {Role::user, "a"},
                                          {Role::assistant, "b"},
                                          {Role::user, "c"},
                                          {Role::assistant, "dd"}}});
  CHECK(tokens.ids == encoded(bytes, {"<e>", "\nSystem: s\nUser: a\nAssistant: b", "<e>",
                                      "\nUser: c\nAssistant: dd", "<e>"}));
  CHECK(tokens.ids.size() == tokens.counted.size());
  CHECK(counted_ids(tokens) == encoded(bytes, {"b", "<e>", "dd", "<e>"}));
}

TEST_CASE("chat template: the prompt of a chat is exactly the beginning seen in training") {
  for (const Tokenizer& tokenizer :
       {Tokenizer::bytes(), Tokenizer::read("tests/goldens/gpt2_tokenizer.bin")}) {
    ChatTemplate chat(tokenizer);
    const Conversation asked = {
        {{Role::system, "Be brief. "}, kQuestion, kAnswer, {Role::user, " And of Spain?\n"}}};
    Conversation answered = asked;
    answered.turns.push_back({Role::assistant, " Madrid"});
    const Ids prompt = chat.prompt(asked);
    const ChatTokens trained = chat.encode(answered);
    REQUIRE(prompt.size() < trained.ids.size());
    CHECK(std::equal(prompt.begin(), prompt.end(), trained.ids.begin()));
    // The first counted token of the last answer follows the prompt.
    CHECK(trained.counted[prompt.size()] == 1);
    CHECK(trained.counted[prompt.size() - 1] == 0);
  }
}

TEST_CASE("chat template: a user's turn without an answer is left out") {
  const Tokenizer bytes = Tokenizer::bytes();
  ChatTemplate chat(bytes);
  CHECK(chat.encode({{kQuestion, kAnswer, {Role::user, "Thanks"}}}).ids ==
        chat.encode({{kQuestion, kAnswer}}).ids);
}

TEST_CASE("chat template: a text with the bytes of end-of-text does not end a turn") {
  const Tokenizer bytes = Tokenizer::bytes();
  ChatTemplate chat(bytes);
  const ChatTokens tokens = chat.encode({{{Role::user, "<|endoftext|>"}, {Role::assistant, "b"}}});
  CHECK(std::count(tokens.ids.begin(), tokens.ids.end(), bytes.end_of_text()) == 2);
}

TEST_CASE("chat template: a conversation that is too long loses whole turns, the oldest first") {
  const Tokenizer bytes = Tokenizer::bytes();
  ChatTemplate chat(bytes);
  const Turn system = {Role::system, "s"}, a = {Role::user, "aaaa"}, b = {Role::assistant, "bb"},
             c = {Role::user, "c"}, d = {Role::assistant, "d"}, e = {Role::user, "ee"},
             f = {Role::assistant, "f"};
  const auto size = [&](const Conversation& conversation) {
    return std::ssize(chat.encode(conversation).ids);
  };
  const Conversation whole = {{system, a, b, c, d, e, f}}, two = {{system, c, d, e, f}},
                     one = {{system, e, f}};
  const auto check = [&](std::int64_t most, const Conversation& want, std::int64_t dropped) {
    INFO("at most " << most);
    const ChatTemplate::Fitted fitted = chat.fit(whole, most);
    REQUIRE(fitted.tokens);
    CHECK(fitted.tokens->ids == chat.encode(want).ids);
    CHECK(fitted.tokens->counted == chat.encode(want).counted);
    CHECK(fitted.dropped_turns == dropped);
  };
  check(size(whole), whole, 0);
  check(size(whole) - 1, two, 2);
  check(size(two), two, 2);
  check(size(two) - 1, one, 4);
  check(size(one), one, 4);
  CHECK_FALSE(chat.fit(whole, size(one) - 1).tokens);
  // An assistant's greeting is left out alone, because the rest must begin with a user's turn.
  const ChatTemplate::Fitted greeted = chat.fit({{b, c, d}}, size({{c, d}}));
  REQUIRE(greeted.tokens);
  CHECK(greeted.tokens->ids == chat.encode({{c, d}}).ids);
  CHECK(greeted.dropped_turns == 1);
  CHECK_FALSE(chat.fit({{b}}, 3).tokens);
}

TEST_CASE("chat template: a tokenizer without the template's bytes is an error") {
  const Tokenizer words({"a", "b", "<e>"}, 2);
  CHECK_THROWS_AS(ChatTemplate(words), Error);
}

}  // namespace
}  // namespace inkling
