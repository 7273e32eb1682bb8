// Chat: answers and commands, inside the test's process. chat_process_test.cc runs `inkling chat`.
#include "apps/talk/chat.h"

#include <sstream>

#include "core/error.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr Terminal kPipe{};

GPT2 byte_model(std::int64_t maxT) {
  GPT2 model({.max_seq_len = maxT, .vocab_size = 257, .layers = 1, .heads = 2, .channels = 16});
  model.initialise(3);
  return model;
}

// A chat with a model of random weights, whose answers are random bytes.
struct Talk {
  explicit Talk(std::int64_t maxT, const ChatSettings& settings = {})
      : model(byte_model(maxT)), chat(model, tokenizer, settings, kPipe, out, notes) {}
  // Says a line and returns what was printed to stdout.
  std::string say(const std::string& line) {
    out.str("");
    chat.handle(line, [] { return false; });
    return out.str();
  }
  Tokenizer tokenizer = Tokenizer::bytes();
  GPT2 model;
  std::ostringstream out, notes;
  Chat chat;
};

std::string last_answer(Talk& talk) {
  return talk.chat.history().conversation().turns.back().text;
}

TEST_CASE("chat: an answer is what the model generates after the conversation's prompt") {
  Talk talk(512, {.max_tokens = 20});
  for (std::uint64_t number = 0; number < 3; ++number) {
    const std::string said = talk.say("Hello");
    const auto turns = talk.chat.history().conversation().turns;
    REQUIRE(turns.size() == 2 * number + 2);
    CHECK(said == turns.back().text + "\n");
    History before(talk.tokenizer);
    for (std::size_t i = 0; i + 1 < turns.size(); ++i) before.add(turns[i].role, turns[i].text);
    GenerateSettings settings{.max_tokens = 20, .stop_token = 256};
    Rng rng(42, number);
    std::string want;
    generate(talk.model, before.prompt(1000).ids, settings, rng, [&](std::int32_t id) {
      want += talk.tokenizer.token(id);
      return true;
    });
    CHECK(turns.back().text == want);
  }
}

TEST_CASE("chat: the same seed and messages give the same answers, also after /reset, /save and /load") {
  const TemporaryDirectory temporary;
  Talk talk(512, {.sampler = {.top_k = 5}, .max_tokens = 12});
  // Answers of ASCII only, so that a saved answer has the same bytes.
  for (std::int64_t id = 128; id < 256; ++id) {
    for (float& w : talk.model.parameters().values_of(kWte).subspan(static_cast<std::size_t>(16 * id), 16))
      w = 0;
  }
  const std::string first = talk.say("a"), second = talk.say("b");
  CHECK(first != second);
  talk.say("/reset");
  CHECK(talk.chat.history().conversation().turns.empty());
  CHECK(talk.say("a") == first);
  talk.say("/save " + (temporary / "chat"));
  CHECK(talk.say("b") == second);
  talk.say("/load " + (temporary / "chat"));
  CHECK(talk.chat.history().answers() == 1);
  CHECK(talk.say("b") == second);
  talk.say("/reset");
  talk.say("/seed 7");
  CHECK(talk.say("a") != first);
}

TEST_CASE("chat: commands set the sampler, the seed and the system text, and print them") {
  Talk talk(512);
  const auto note = [&](const std::string& line) {
    talk.notes.str("");
    CHECK(talk.say(line).empty());
    return talk.notes.str();
  };
  CHECK(note("/temperature 0.25") == "(temperature is 0.25)\n");
  CHECK(note("/temperature") == "(temperature is 0.25)\n");
  CHECK(note("/top-k  3 ") == "(top-k is 3)\n");
  CHECK(note("/top-p\t0.5") == "(top-p is 0.5)\n");
  CHECK(note("/seed 18446744073709551615") == "(seed is 18446744073709551615)\n");
  CHECK(talk.chat.settings().sampler.temperature == 0.25f);
  CHECK(talk.chat.settings().sampler.top_k == 3);
  CHECK(talk.chat.settings().sampler.top_p == 0.5f);
  CHECK(talk.chat.settings().seed == UINT64_MAX);
  CHECK_THAT(note("/system Be brief."), contains("is set"));
  CHECK(talk.chat.history().conversation().turns.front() == Turn{Role::system, "Be brief."});
  CHECK_THAT(note("/reset"), contains("is empty"));
  CHECK(talk.chat.history().conversation().turns.front() == Turn{Role::system, "Be brief."});
  CHECK_THAT(note("/system"), contains("no system text"));
  CHECK(talk.chat.history().conversation().turns.empty());
  const std::string help = note("/help");
  for (const char* command : {"/reset", "/system", "/temperature", "/top-k", "/top-p", "/seed", "/save",
                              "/load", "/help", "Ctrl-C", "Ctrl-D"})
    CHECK_THAT(help, contains(command));
}

TEST_CASE("chat: wrong commands are errors that change nothing; // begins a message with one /") {
  Talk talk(512, {.max_tokens = 5});
  const auto refused = [&](const std::string& line, const std::string& why) {
    CHECK_THROWS_WITH(talk.say(line), contains(why));
  };
  refused("/nothing", "/nothing: there is no such command");
  refused("/", "there is no such command");
  refused("/temperature hot", "/temperature is hot, expected a number from 0 to 1000");
  refused("/temperature -1", "/temperature is -1");
  refused("/top-k 1.5", "/top-k is 1.5, expected a whole number from 0 to");
  refused("/top-p 0", "/top-p is 0");
  refused("/seed -1", "/seed is -1");
  refused("/save", "/save needs the name of a file");
  refused("/load ", "/load needs the name of a file");
  refused("/load no/such/file", "no/such/file");
  CHECK(talk.chat.settings().sampler.temperature == 1.0f);
  talk.say("//help");
  CHECK(talk.chat.history().conversation().turns.front().text == "/help");
  for (const char* empty : {"", "  ", "\t"}) CHECK(talk.say(empty).empty());
  CHECK(talk.chat.history().conversation().turns.size() == 2);
}

TEST_CASE("chat: old exchanges leave a full context, which is said once; the answer fits into the context") {
  const std::int64_t maxT = 96;
  Talk talk(maxT, {.max_tokens = 8});
  std::string notes;
  for (int i = 0; i < 12; ++i) talk.say(str("message ", i));
  notes = talk.notes.str();
  const std::string said = "does not see the oldest messages";
  INFO(notes);
  REQUIRE(notes.find(said) != std::string::npos);
  CHECK(notes.find(said) == notes.rfind(said));
  CHECK(talk.chat.history().answers() > 8);  // more than the context holds
  talk.say("/reset");
  for (int i = 0; i < 6; ++i) talk.say(str("message ", i));
  CHECK(talk.notes.str().find(said) != talk.notes.str().rfind(said));  // said again after /reset
}

TEST_CASE("chat: a message that leaves no room is refused and forgotten; a long one gets a short answer") {
  const std::int64_t maxT = 64, around = std::ssize(std::string("|\nUser: \nAssistant: "));
  Talk talk(maxT);
  const auto message = [&](std::int64_t tokens) {
    return std::string(static_cast<std::size_t>(tokens - around), 'm');
  };
  CHECK_THROWS_WITH(talk.say(message(maxT)), contains("the prompt has 64 tokens, expected fewer than the "
                                                      "model's context of 64"));
  CHECK(talk.chat.history().conversation().turns.empty());
  talk.say(message(maxT - 1));
  CHECK(last_answer(talk).size() == 1);
  CHECK_THAT(talk.notes.str(), contains("(the answer was cut after 1 token: the model's context is full)"));
}

TEST_CASE("chat: an answer ends when stop() returns true, and the part that was written is remembered") {
  Talk talk(512);
  int tokens = 0;
  talk.chat.handle("Hello", [&] { return ++tokens == 4; });
  CHECK(last_answer(talk).size() == 4);
  CHECK(talk.out.str() == last_answer(talk) + "\n");
  CHECK_THAT(talk.notes.str(), contains("(stopped)"));
  talk.say("Go on");
  CHECK(talk.chat.history().answers() == 2);
}

TEST_CASE("chat: an answer ends before the text of the user's next turn") {
  const std::vector<std::string> tokens = {
      "Yes.\nUser: No", "r: \nUse", "\n", "System: ", "User: ", "Assistant: ", "a", "end", "Yes.", "r: "};
  const Tokenizer tokenizer(tokens, 7);
  GPT2 model({.max_seq_len = 64, .vocab_size = 10, .layers = 1, .heads = 1, .channels = 16});
  std::fill(model.parameters().values().begin(), model.parameters().values().end(), 0.0f);
  // wte is the identity and all other weights are 0, so the largest bias of the last norm decides every
  // token.
  const auto wte = model.parameters().values_of(kWte);
  for (std::size_t id = 0; id < 10; ++id) wte[id * 16 + id] = 1.0f;
  const auto bias = model.parameters().values_of(kLnfb);
  std::ostringstream out, notes;
  const auto said = [&](std::size_t favourite) {
    std::fill(bias.begin(), bias.end(), 0.0f);
    bias[favourite] = 100.0f;
    out.str("");
    Chat chat(model, tokenizer, {.sampler = {.temperature = 0.0f}, .max_tokens = 4}, kPipe, out, notes);
    chat.handle("a", [] { return false; });
    return out.str();
  };
  CHECK(said(6) == "aaaa\n");
  CHECK(said(0) == "Yes.\n");
  CHECK(said(1) == "r: \n");  // "\nUse" is held back until "r: " completes the text
  CHECK(said(7) == "\n");     // end-of-text: the answer is empty
  CHECK_THAT(notes.str(),
             contains("(the answer is empty, so your message is removed from the conversation)"));
}

}  // namespace
}  // namespace inkling
