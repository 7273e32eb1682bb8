// Conversations: their tokens, how they fit into a context, and their files.
#include "apps/talk/conversation.h"

#include "apps/talk/conversation_file.h"
#include "core/error.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

const Tokenizer kBytes = Tokenizer::bytes();
const Tokenizer& gpt2() {
  static const Tokenizer tokenizer = Tokenizer::read("tests/goldens/gpt2_tokenizer.bin");
  return tokenizer;
}

// The text of ids, with | for end-of-text.
std::string shown(const std::vector<std::int32_t>& ids) {
  std::string text;
  for (const std::int32_t id : ids) text += id == 256 ? "|" : kBytes.token(id);
  return text;
}

Conversation talked(int exchanges, const std::string& system = "") {
  Conversation conversation(kBytes);
  conversation.set_system(system);
  for (int i = 0; i < exchanges; ++i) {
    conversation.add(Role::user, str("question ", i));
    conversation.add(Role::assistant, str("answer ", i));
  }
  return conversation;
}

TEST_CASE(
    "conversation: a prompt has the template's texts, and end-of-text at the start and after each answer") {
  Conversation conversation = talked(1, "Be kind.");
  conversation.add(Role::user, "Why?");
  CHECK(shown(conversation.prompt(1000).ids) ==
        "|\nSystem: Be kind.\nUser: question 0\nAssistant: answer 0|\nUser: Why?\nAssistant: ");
  conversation.set_system("");
  conversation.clear();
  conversation.add(Role::user, "Hi");
  CHECK(shown(conversation.prompt(1000).ids) == "|\nUser: Hi\nAssistant: ");
}

TEST_CASE("conversation: segments are encoded apart, so the text before a turn always has the same tokens") {
  Conversation conversation(gpt2());
  conversation.add(Role::user, " \n what");
  std::vector<std::int32_t> want = {50256};
  for (const char* segment : {"\nUser: ", " \n what", "\nAssistant: "}) {
    for (const std::int32_t id : gpt2().encode(segment)) want.push_back(id);
  }
  CHECK(conversation.prompt(1000).ids == want);
  CHECK(want != gpt2().encode("\nUser:  \n what\nAssistant: "));
}

TEST_CASE("conversation: whole oldest exchanges are left out until the prompt fits; the system text stays") {
  Conversation conversation = talked(3, "S");
  conversation.add(Role::user, "last");
  const auto prompt = [&](std::int64_t most) { return conversation.prompt(most); };
  const std::string begin = "|\nSystem: S",
                    end = "\nUser: last\nAssistant: ", exchange = "\nUser: question 0\nAssistant: answer 0|";
  const auto size = [&](std::size_t exchanges) {
    return static_cast<std::int64_t>(begin.size() + end.size() + exchanges * exchange.size());
  };
  for (std::size_t exchanges : {0, 1, 2, 3}) {
    CHECK(prompt(size(exchanges)).left_out == static_cast<std::int64_t>(3 - exchanges));
    CHECK(std::ssize(prompt(size(exchanges)).ids) == size(exchanges));
    if (exchanges > 0)
      CHECK(prompt(size(exchanges) - 1).left_out == static_cast<std::int64_t>(4 - exchanges));
  }
  CHECK(shown(prompt(size(1)).ids) == begin + "\nUser: question 2\nAssistant: answer 2|" + end);
  CHECK(shown(prompt(1).ids) == begin + end);  // the last message always remains
  CHECK(conversation.turns().size() == 8);     // nothing is forgotten
}

TEST_CASE("conversation: wrong turns are refused and change nothing") {
  Conversation conversation(kBytes);
  CHECK_THROWS_WITH(conversation.add(Role::assistant, "a"), contains("expected one of the user"));
  CHECK_THROWS_WITH(conversation.add(Role::user, ""), contains("the message is empty"));
  CHECK_THROWS_WITH(conversation.prompt(100), contains("expected a message of the user"));
  const Tokenizer letters({"a", "\n", "User: ", "Assistant: ", "end"}, 4);
  Conversation few(letters);
  CHECK_THROWS_WITH(few.add(Role::user, "b"), contains("fits the text at byte 0"));
  CHECK(few.turns().empty());
  few.add(Role::user, "a");
  CHECK_THROWS_WITH(few.add(Role::user, "a"), contains("expected one of the assistant"));
}

TEST_CASE("conversation file: load(save(x)) is x, and a damaged character is saved as U+FFFD") {
  const TemporaryDirectory temporary;
  const std::string path = temporary / "chat.json";
  Conversation conversation = talked(2, "Be \"kind\"\n");
  save_conversation(path, conversation);
  CHECK(read_text(path).starts_with(
      R"({"messages":[{"role":"system","content":"Be \"kind\"\n"},{"role":"user","content":"question 0"},)"));
  Conversation loaded = talked(1, "other");
  load_conversation(path, loaded);
  CHECK(loaded.answers() == 2);
  loaded.add(Role::user, "x");
  conversation.add(Role::user, "x");
  CHECK(loaded.prompt(1000).ids == conversation.prompt(1000).ids);
  Conversation half = talked(0);
  half.add(Role::user, "x");
  half.add(Role::assistant, "caf\xc3");
  save_conversation(path, half);
  load_conversation(path, loaded);
  CHECK(loaded.turns().back().text == "caf\xef\xbf\xbd");
}

TEST_CASE("conversation file: wrong files are refused with the place, and change nothing") {
  Conversation conversation = talked(1, "S");
  const auto refused = [&](const std::string& contents, const std::string& why) {
    INFO(contents);
    CHECK_THROWS_WITH(parse_conversation(contents, "f.json", conversation),
                      Catch::Matchers::StartsWith("f.json") && contains(why));
    CHECK(conversation.turns().size() == 3);
  };
  const std::string user = R"({"role": "user", "content": "a"})",
                    system = R"({"role":"system","content":"s"})";
  refused("", "not valid JSON");
  refused("[]", "expected an object");
  refused("{}", "messages");
  refused(R"({"messages": [{"role": "user"}]})", "content");
  refused(R"({"messages": [{"role": "king", "content": "a"}]})", "messages[0]: role is king");
  refused(R"({"messages": [)" + user + "]}", "the last message is of the user");
  refused(R"({"messages": [)" + user + "," + user + "]}", "messages[1]: the turn is of the user");
  refused(R"({"messages": [)" + user + "," + system + "]}", "messages[1]: the role is system");
  parse_conversation(R"({"messages": []})", "f.json", conversation);
  CHECK(conversation.turns().empty());
}

}  // namespace
}  // namespace inkling
