// The history of a chat: its prompt, how it fits into a context, and its file.
#include "apps/talk/history.h"

#include "core/error.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

const Tokenizer& bytes() {
  static const Tokenizer tokenizer = Tokenizer::bytes();
  return tokenizer;
}

// The text of ids, with | for end-of-text.
std::string shown(const std::vector<std::int32_t>& ids) {
  std::string text;
  for (const std::int32_t id : ids) text += id == 256 ? "|" : bytes().token(id);
  return text;
}

History talked(int exchanges, const std::string& system = "") {
  History history(bytes());
  history.set_system(system);
  for (int i = 0; i < exchanges; ++i) {
    history.add(Role::user, str("question ", i));
    history.add(Role::assistant, str("answer ", i));
  }
  return history;
}

TEST_CASE("history: the prompt is exactly the beginning of the conversation's tokens in training") {
  const Tokenizer gpt2 = Tokenizer::read("tests/goldens/gpt2_tokenizer.bin");
  const Conversation conversation{{{Role::system, "Be kind."},
                                   {Role::user, " \n what"},
                                   {Role::assistant, "  \nthat"},
                                   {Role::user, "Why?"},
                                   {Role::assistant, "So."}}};
  const std::vector<std::int32_t> trained = ChatTemplate(gpt2).encode(conversation).ids;
  History history(gpt2);
  history.set_system("Be rude.");
  for (std::size_t i = 1; i < 4; ++i) history.add(conversation.turns[i].role, conversation.turns[i].text);
  history.set_system("Be kind.");
  const std::vector<std::int32_t> prompt = history.prompt(1000).ids;
  REQUIRE(prompt.size() < trained.size());
  CHECK(prompt == std::vector<std::int32_t>(trained.begin(), trained.begin() + std::ssize(prompt)));
  CHECK(gpt2.decode(std::span(trained).subspan(prompt.size())) == "So.<|endoftext|>");
}

TEST_CASE("history: whole oldest turns are left out until the prompt fits; the system text stays") {
  History history = talked(3, "S");
  history.add(Role::user, "last");
  const std::string begin = "|\nSystem: S",
                    end = "\nUser: last\nAssistant: ", exchange = "\nUser: question 0\nAssistant: answer 0|";
  const auto size = [&](std::size_t exchanges) {
    return static_cast<std::int64_t>(begin.size() + end.size() + exchanges * exchange.size());
  };
  for (std::int64_t exchanges = 0; exchanges <= 3; ++exchanges) {
    const std::int64_t tokens = size(static_cast<std::size_t>(exchanges));
    CHECK(history.prompt(tokens).left_out == 2 * (3 - exchanges));
    CHECK(std::ssize(history.prompt(tokens).ids) == tokens);
    if (exchanges > 0) CHECK(history.prompt(tokens - 1).left_out == 2 * (4 - exchanges));
  }
  CHECK(shown(history.prompt(size(1)).ids) == begin + "\nUser: question 2\nAssistant: answer 2|" + end);
  CHECK(shown(history.prompt(1).ids) == begin + end);  // the last message always remains
  CHECK(history.conversation().turns.size() == 8);     // nothing is forgotten
  history.clear();
  history.add(Role::user, "Hi");
  CHECK(shown(history.prompt(1000).ids) == begin + "\nUser: Hi\nAssistant: ");
}

TEST_CASE("history: a text that the tokenizer cannot encode is refused and changes nothing") {
  const Tokenizer few({"a", "\n", "User: ", "Assistant: ", "System: ", "end"}, 5);
  History history(few);
  CHECK_THROWS_WITH(history.add(Role::user, "b"), contains("fits the text at byte 0"));
  CHECK_THROWS_WITH(history.set_system("b"), contains("fits the text at byte 0"));
  CHECK(history.conversation().turns.empty());
  CHECK_THROWS_WITH(History(Tokenizer({"a", "end"}, 1)), contains("fits the text"));
}

TEST_CASE("history: load(save(x)) is x, and a damaged character is saved as U+FFFD") {
  const TemporaryDirectory temporary;
  const std::string path = temporary / "chat.jsonl";
  const History history = talked(2, "Be \"kind\"\n");
  history.save(path);
  CHECK(read_text(path).starts_with(R"({"messages":[{"role":"system","content":"Be \"kind\"\n"},)"));
  History loaded = talked(1, "other");
  loaded.load(path);
  CHECK(loaded.answers() == 2);
  CHECK(loaded.conversation() == history.conversation());
  History half = talked(0);
  half.add(Role::user, "x");
  half.add(Role::assistant, "caf\xc3");
  half.save(path);
  loaded.load(path);
  CHECK(loaded.conversation().turns.back().text == "caf\xef\xbf\xbd");
  CHECK_THROWS_WITH(talked(0).save(path), contains("nothing to save"));
}

TEST_CASE("history: wrong files are refused with the reason, and change nothing") {
  const TemporaryDirectory temporary;
  History history = talked(1, "S");
  const auto refused = [&](const std::string& contents, const std::string& why) {
    INFO(contents);
    write_text(temporary / "f", contents);
    CHECK_THROWS_WITH(history.load(temporary / "f"), contains(why));
    CHECK(history.conversation() == talked(1, "S").conversation());
  };
  const std::string user = R"({"role": "user", "content": "a"})",
                    answer = R"({"role": "assistant", "content": "b"})",
                    chat = R"({"messages": [)" + user + "," + answer + "]}\n";
  refused("[]", "f: line 1: is a JSON array, expected an object");
  refused(R"({"text": "a"})", "is a document, expected a conversation");
  refused(chat + chat, "has several conversations, expected one");
  refused(R"({"messages": [)" + user + "," + answer + "," + user + "]}",
          "the last turn is not the assistant's");
  write_text(temporary / "f", chat);
  history.load(temporary / "f");
  CHECK(history.conversation().turns.size() == 2);
}

}  // namespace
}  // namespace inkling
