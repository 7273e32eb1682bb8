// Conversations from JSONL: the four forms, byte-order marks and line ends, and every kind of bad line.
#include "apps/chat/conversations.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/rng.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using BadLines = JsonlReader::BadLines;

const Conversation kFrance = {
    {{Role::user, "What's the capital of France?"}, {Role::assistant, "The capital of France is Paris."}}};
const std::string kFranceLine =
    R"({"messages": [{"role": "user", "content": "What's the capital of France?"}, )"
    R"({"role": "assistant", "content": "The capital of France is Paris."}]})";

struct Result {
  std::vector<JsonlEntry> entries;
  std::vector<std::string> reports;
  std::int64_t conversations = 0, documents = 0, bad = 0;
};

Result read(const std::string& bytes, BadLines mode = BadLines::skip, std::size_t piece = 1000) {
  Result result;
  JsonlReader reader(
      "chats.jsonl", mode, [&](JsonlEntry&& entry, std::int64_t /*line*/) { result.entries.push_back(std::move(entry)); },
      [&](const std::string& message) { result.reports.push_back(message); });
  for (std::size_t at = 0; at < bytes.size(); at += piece)
    reader.feed(std::string_view(bytes).substr(at, piece));
  reader.end();
  result.conversations = reader.conversations(), result.documents = reader.documents();
  result.bad = reader.bad_lines();
  return result;
}

Conversation conversation(const std::string& line) {
  return std::get<Conversation>(parse_jsonl_line(line));
}

TEST_CASE("conversations: the four forms are read, and other keys are ignored") {
  CHECK(conversation(kFranceLine) == kFrance);
  CHECK(conversation(R"({"id": 7, "messages": [{"role": "system", "content": "Be brief.", "name": null},)"
                     R"({"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]})") ==
        Conversation{{{Role::system, "Be brief."}, {Role::user, "Hi"}, {Role::assistant, "Hello"}}});
  CHECK(
      conversation(R"({"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "h"},)"
                   R"({"from": "gpt", "value": "g"}, {"from": "human", "value": "i"},)"
                   R"({"from": "gpt", "value": "j"}]})") == Conversation{{{Role::system, "s"},
                                                                          {Role::user, "h"},
                                                                          {Role::assistant, "g"},
                                                                          {Role::user, "i"},
                                                                          {Role::assistant, "j"}}});
  const Conversation alpaca = {{{Role::user, "Add."}, {Role::assistant, "3"}}};
  CHECK(conversation(R"({"instruction": "Add.", "output": "3"})") == alpaca);
  CHECK(conversation(R"({"instruction": "Add.", "input": "", "output": "3", "text": "ignored"})") == alpaca);
  CHECK(conversation(R"({"instruction": "Add.", "input": "1 2", "output": "3"})") ==
        Conversation{{{Role::user, "Add.\n\n1 2"}, {Role::assistant, "3"}}});
  CHECK(std::get<Document>(parse_jsonl_line(R"({"text": "Once \u00e9\ud83d\ude00\n"})")) ==
        Document{"Once \u00e9\U0001F600\n"});
}

TEST_CASE("conversations: with a byte-order mark, CRLF, blank lines or no last line end, nothing is lost") {
  const std::string text =
      "\xEF\xBB\xBF" + kFranceLine + "\r\n\r\n  \t\n\n{\"text\": \"a\"}\r\n" + kFranceLine;
  for (const std::size_t piece : {1u, 2u, 3u, 7u, 100'000u}) {
    const Result result = read(text, BadLines::fail, piece);
    REQUIRE(result.entries.size() == 3);
    CHECK(std::get<Conversation>(result.entries[0]) == kFrance);
    CHECK(std::get<Document>(result.entries[1]) == Document{"a"});
    CHECK(std::get<Conversation>(result.entries[2]) == kFrance);
    CHECK(result.conversations == 2);
    CHECK(result.documents == 1);
    CHECK(result.bad == 0);
  }
}

TEST_CASE("conversations: every bad line is named by file, line and reason") {
  const auto turn = [](const std::string& role, const std::string& content) {
    return nlohmann::json{{"role", role}, {"content", content}};
  };
  const auto messages = [](const std::vector<nlohmann::json>& turns) {
    return nlohmann::json{{"messages", turns}}.dump();
  };
  std::string deep = R"({"text": "a", "x": )";
  for (int i = 0; i < 64; ++i) deep += "[";
  for (int i = 0; i < 64; ++i) deep += "]";
  deep += "}";
  const std::pair<std::string, std::string> cases[] = {
      {"{", "not valid JSON: "},
      {R"({"text": "a"} x)", "not valid JSON: "},
      {"[1]", "is a JSON array, expected an object"},
      {R"({"a": "b"})", "has none of the keys messages, conversations, instruction and text"},
      {messages({turn("user", "a")}), "has no assistant turn"},
      {messages({}), "has no assistant turn"},
      {messages({turn("user", "a"), turn("user", "b"), turn("assistant", "c")}),
       "turns 0 and 1 are both user turns"},
      {messages({turn("user", "a"), turn("assistant", "b"), turn("assistant", "c")}),
       "turns 1 and 2 are both assistant turns"},
      {messages({turn("user", "a"), turn("system", "b"), turn("assistant", "c")}), "turn 1 is a system turn"},
      {messages({turn("user", ""), turn("assistant", "c")}), "messages[0].content is empty"},
      {messages({turn("user", "a"), turn("assistant", " \n")}), "messages[1].content is empty"},
      {messages({turn("tool", "a"), turn("assistant", "c")}),
       "messages[0].role is \"tool\", expected system, user or assistant"},
      {R"({"messages": [{"role": "user"}]})", "messages[0].content is missing"},
      {R"({"messages": [{"role": "user", "content": null}]})", "messages[0].content is a JSON null"},
      {R"({"messages": ["a"]})", "messages[0] is a JSON string, expected an object"},
      {R"({"messages": "a"})", "messages is a JSON string, expected an array"},
      {R"({"conversations": [{"from": "user", "value": "a"}]})",
       "conversations[0].from is \"user\", expected system, human or gpt"},
      {R"({"instruction": "a"})", "output is missing"},
      {R"({"instruction": "a", "input": 3, "output": "b"})", "input is a JSON number"},
      {R"({"text": ""})", "text is empty"},
      {R"({"text": "\ud800 a"})", "surrogate"},
      {R"({"text": "\udc00 a"})", "surrogate"},
      {"{\"text\": \"\xED\xA0\x80\"}", "UTF-8"},
      {"{\"text\": \"\xff\"}", "UTF-8"},
      {deep, "nested deeper than 64 levels"},
  };
  for (const auto& [line, reason] : cases) {
    INFO(line);
    const std::string file = "\n" + kFranceLine + "\n" + line + "\n" + kFranceLine + "\n";
    const Result result = read(file);
    CHECK(result.conversations == 2);  // the other lines are not lost
    CHECK(result.bad == 1);
    REQUIRE(result.reports.size() == 1);
    CHECK_THAT(result.reports[0], contains("chats.jsonl: line 3: ") && contains(reason));
    CHECK_THROWS_WITH(read(file, BadLines::fail), contains("chats.jsonl: line 3: ") && contains(reason));
  }
}

TEST_CASE("conversations: a line has at most 64 levels and 16 MiB") {
  std::string deep = R"({"text": "a", "x": )";
  for (int i = 0; i < 63; ++i) deep += "[";
  for (int i = 0; i < 63; ++i) deep += "]";
  CHECK_NOTHROW(parse_jsonl_line(deep + "}"));
  const std::string start = R"({"text": ")", end = R"("})";
  const std::string longest = start + std::string(kMostLineBytes - start.size() - end.size(), 'a') + end;
  REQUIRE(longest.size() == kMostLineBytes);
  CHECK(read(longest + "\n" + kFranceLine, BadLines::skip, 100'000).documents == 1);
  const std::string longer = start + std::string(kMostLineBytes, 'a') + end;
  const Result result = read(longer + "\n" + kFranceLine, BadLines::skip, 100'000);
  CHECK(result.documents == 0);
  CHECK(result.conversations == 1);
  REQUIRE(result.reports.size() == 1);
  CHECK_THAT(result.reports[0], contains("line 1: the line is too long, expected at most 16777216 bytes"));
}

TEST_CASE("conversations: a file in which nothing is left is an error with the first bad line") {
  CHECK_THROWS_WITH(read("\n\n"), contains("chats.jsonl: has no conversation and no document"));
  CHECK_THROWS_WITH(read(""), contains("has no conversation and no document"));
  CHECK_THROWS_WITH(read("\n{\n{}\n"),
                    contains("2 bad lines, the first is chats.jsonl: line 2: not valid JSON"));
}

TEST_CASE("conversations: a file is read, and a missing one is an error") {
  const TemporaryDirectory directory;
  test::write_text(directory / "a.jsonl", kFranceLine + "\n" + kFranceLine);
  std::int64_t entries = 0;
  const auto count = [&](JsonlEntry&&, std::int64_t /*line*/) { ++entries; };
  const auto ignore = [](const std::string&) {};
  CHECK(read_jsonl(directory / "a.jsonl", BadLines::fail, count, ignore).conversations() == 2);
  CHECK(entries == 2);
  CHECK_THROWS_WITH(read_jsonl(directory / "b.jsonl", BadLines::fail, count, ignore),
                    contains("b.jsonl: cannot open: No such file"));
}

TEST_CASE("conversations: damaged lines are errors, never something else") {
  Rng rng(3);
  for (int i = 0; i < 3000; ++i) {
    std::string line = kFranceLine;
    for (auto changes = 1 + rng.below(4); changes > 0; --changes)
      line[rng.below(line.size())] = static_cast<char>(rng.below(256));
    try {
      parse_jsonl_line(line);
    } catch (const Error&) {
    }
  }
  SUCCEED();
}

}  // namespace
}  // namespace inkling
