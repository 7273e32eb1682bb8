// Story chats: every question has one right answer, which the story contains; the files are read back.
#include "apps/chat/story_chats.h"

#include <map>
#include <set>

#include "apps/chat/chat_template.h"
#include "apps/text/stories.h"
#include "core/error.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;

std::string answer_to(const std::string& story, const std::string& question) {
  for (const QuestionAnswer& one : story_questions(story)) {
    if (one.question == question) return one.answer;
  }
  return "";
}

std::string random_story(Rng& rng) {
  const Story story = write_story(rng);
  return story_tokenizer().decode(std::span(story.tokens).subspan(1));
}

// The words of a text, without punctuation.
std::set<std::string> words_of(const std::string& text) {
  std::set<std::string> words;
  std::string word;
  for (const char c : text + " ") {
    if (std::isalpha(static_cast<unsigned char>(c)) != 0) {
      word += c;
    } else if (!word.empty()) {
      words.insert(word);
      word.clear();
    }
  }
  return words;
}

TEST_CASE("story chats: questions about a story have the answers that the story gives") {
  const std::string lost =
      "Once upon a time, there was a lively girl named Lily. One cloudy morning, Lily and Biscuit the tiny "
      "owl "
      "were in the garden. Lily lost her orange ring and was glum. \"Do not cry,\" called Biscuit. Soon, the "
      "owl "
      "saw something orange behind a bush. It was the orange ring! That night, Lily dreamed of red birds.";
  CHECK(answer_to(lost, "Who is the story about?") == "The story is about Lily.");
  CHECK(answer_to(lost, "Which ring was it?") == "It was the orange ring.");
  CHECK(answer_to(lost, "Where did it happen?") == "It happened in the garden.");
  CHECK(answer_to(lost, "What was the name of the owl?") == "The name of the owl was Biscuit.");
  CHECK(answer_to(lost, "Who was Biscuit?") == "Biscuit was an owl.");
  CHECK(answer_to(lost, "Who lost the ring?") == "Lily lost the ring.");
  CHECK(answer_to(lost, "Who found the ring?") == "Biscuit found the ring.");
  CHECK(story_questions(lost).size() == 7);

  const std::string found =
      "In a quiet village lived a shy boy named Hugo. One foggy morning, Hugo and Biscuit the young duck "
      "were at "
      "the beach. Hugo found a purple kite near a rock. He wanted to keep it, but Biscuit looked unhappy. "
      "\"Who "
      "lost this kite?\" asked the duck. Suddenly, they found an old sailor. \"My purple kite!\" called the "
      "sailor, and gave them some fresh pudding. Hugo dreamed of the purple kite.";
  CHECK(answer_to(found, "Who found the kite?") == "Hugo found the kite.");
  CHECK(answer_to(found, "Who lost the kite?") == "The sailor lost the kite.");
  CHECK(answer_to(found, "Who was Biscuit?") == "Biscuit was a duck.");

  const std::string wish =
      "There was a kind boy called Ben. One bright day, Ben and his mother found a wishing stone on the "
      "hill. \"I "
      "wish for an orange ring,\" said Ben, but there was no ring the next day.";
  CHECK(answer_to(wish, "What did Ben wish for?") == "Ben wished for an orange ring.");
  CHECK(answer_to(wish, "Who lost the ring?").empty());
  CHECK_THROWS_WITH(story_questions("Nobody was there."), contains("the text has no hero"));
}

TEST_CASE("story chats: each question of a story has one answer, whose words come from the story") {
  // The words of answers that need not be in the story.
  const std::set<std::string> own = {"The",      "story", "is",    "about",  "It",  "was",
                                     "happened", "name",  "of",    "the",    "a",   "an",
                                     "lost",     "found", "could", "wished", "for", "hiding"};
  Rng rng(3);
  std::map<std::string, int> beginnings;
  for (int i = 0; i < 2000; ++i) {
    const std::string story = random_story(rng);
    INFO(story);
    const std::vector<QuestionAnswer> questions = story_questions(story);
    CHECK(questions.size() >= 2);
    std::set<std::string> asked;
    const std::set<std::string> words = words_of(story);
    for (const auto& [question, answer] : questions) {
      INFO(question << " " << answer);
      CHECK(asked.insert(question).second);
      CHECK(question.ends_with("?"));
      CHECK(answer.ends_with("."));
      CHECK_THAT(question + answer, !contains("  "));
      for (const std::string& word : words_of(answer)) CHECK((words.contains(word) || own.contains(word)));
      ++beginnings[question.substr(0, question.find(' ', question.find(' ') + 1))];
    }
  }
  for (const char* kind : {"Who is", "Who was", "Who lost", "Who found", "Where did", "What was", "What did",
                           "What could", "Which kite"})
    CHECK(beginnings[kind] > 10);
}

TEST_CASE("story chats: a chat begins with the story, and has three questions with their answers") {
  Rng rng(4);
  for (int i = 0; i < 200; ++i) {
    const Conversation chat = write_story_chat(rng);
    REQUIRE((chat.turns.size() == 6 || chat.turns.size() == 4));  // a story may answer only two questions
    const std::string& first = chat.turns[0].text;
    const std::size_t end = first.find_last_of(".!\"") + 1;  // of the story; no question has these characters
    REQUIRE(first.substr(end, 1) == " ");
    const std::string story = first.substr(0, end);
    for (std::size_t turn = 0; turn < chat.turns.size(); turn += 2) {
      CHECK(chat.turns[turn].role == Role::user);
      CHECK(chat.turns[turn + 1].role == Role::assistant);
      const std::string question = turn == 0 ? first.substr(end + 1) : chat.turns[turn].text;
      CHECK(answer_to(story, question) == chat.turns[turn + 1].text);
    }
    CHECK(std::get<Conversation>(parse_jsonl_line(to_jsonl(chat))) == chat);
  }
}

TEST_CASE("story chats: the files have the requested lines, the same for the same seed, and no story twice") {
  const TemporaryDirectory directory;
  const StoryChatCounts counts{.stories = 300, .train = 200, .held_out = 100};
  const StoryChatFiles files = write_story_chats(directory / "a", 7, counts),
                       again = write_story_chats(directory / "b", 7, counts),
                       other = write_story_chats(directory / "c", 8, counts);
  CHECK(files.train == directory / "a/story_chats_train.jsonl");
  CHECK(files.held_out == directory / "a/story_chats_held_out.jsonl");
  CHECK((test::read_text(files.stories) == test::read_text(again.stories)));
  CHECK((test::read_text(files.train) == test::read_text(again.train)));
  CHECK((test::read_text(files.held_out) == test::read_text(again.held_out)));
  CHECK((test::read_text(files.train) != test::read_text(other.train)));
  std::set<std::string> stories;
  const auto add = [&](JsonlEntry&& entry, std::int64_t /*line*/) {
    const auto* document = std::get_if<Document>(&entry);
    const std::string& text = document ? document->text : std::get<Conversation>(entry).turns[0].text;
    CHECK(stories.insert(text.substr(0, text.find_last_of(".!\"") + 1)).second);
  };
  const auto none = [](const std::string& message) { FAIL_CHECK(message); };
  const auto read = [&](const std::string& path) {
    return read_jsonl(path, JsonlReader::BadLines::fail, add, none);
  };
  CHECK(read(files.stories).documents() == 300);
  CHECK(read(files.train).conversations() == 200);
  CHECK(read(files.held_out).conversations() == 100);
  CHECK_THROWS_WITH(write_story_chats(directory / "d", 7, {.stories = 1, .train = 0, .held_out = 1}),
                    contains("0 training chats and 1 held-out chats, expected at least 1 of each"));
}

}  // namespace
}  // namespace inkling
