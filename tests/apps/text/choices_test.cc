// Files of multiple-choice questions, and the questions about stories.
#include "apps/text/choices.h"

#include <algorithm>
#include <map>

#include "apps/text/stories.h"
#include "apps/text/story_choices.h"
#include "core/error.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

const std::vector<Question> kQuestions = {{{1, 2, 65535}, {{3}, {4, 5}}, 1},
                                          {{7}, {{8}, {9}, {10, 11, 12}}, 0}};

bool same(const std::vector<Question>& a, const std::vector<Question>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Question& x, const Question& y) {
    return x.context == y.context && x.endings == y.endings && x.label == y.label;
  });
}

// The bytes of a file with these uint16 after the header.
std::string file(std::int32_t questions, std::int32_t longest, const std::vector<std::uint16_t>& words) {
  std::int32_t header[256] = {kChoicesMagic, 1, questions, longest};
  std::string bytes(reinterpret_cast<const char*>(header), sizeof header);
  return bytes + std::string(reinterpret_cast<const char*>(words.data()), 2 * words.size());
}

std::vector<Question> parse(const std::string& bytes) {
  return parse_choices(ByteReader(std::as_bytes(std::span(bytes)), "f.bin"));
}

// Question 0: context 7, endings 8 and 9 8.
const std::vector<std::uint16_t> kWords = {65535, 24, 0, 1, 2, 1, 7, 1, 8, 2, 9, 8};

TEST_CASE("choices: a file is read as its format says, and read(write(x)) is x") {
  const std::vector<Question> parsed = parse(file(1, 24, kWords));
  CHECK(same(parsed, {{{7}, {{8}, {9, 8}}, 1}}));
  const TemporaryDirectory temporary;
  write_choices(temporary / "a.bin", parsed);
  CHECK(read_text(temporary / "a.bin") == file(1, 24, kWords));
  write_choices(temporary / "b.bin", kQuestions);
  CHECK(same(read_choices(temporary / "b.bin"), kQuestions));
}

TEST_CASE("choices: a wrong file is refused with the place and the reason") {
  const auto refused = [](std::int32_t questions, std::int32_t longest, std::vector<std::uint16_t> words,
                          const std::string& why) {
    CHECK_THROWS_WITH(parse(file(questions, longest, words)), contains("f.bin: ") && contains(why));
  };
  const auto changed = [](std::size_t at, std::uint16_t value) {
    std::vector<std::uint16_t> words = kWords;
    words[at] = value;
    return words;
  };
  refused(0, 24, kWords, "there are 0 questions, expected 1 .. 1");
  refused(2, 24, kWords, "there are 2 questions, expected 1 .. 1");
  refused(-1, 24, kWords, "there are -1 questions");
  refused(1, 25, kWords, "the longest question has 25 bytes, expected 24");
  refused(1, 24, changed(0, 65534), "question 0 begins with the number 65534, expected 65535");
  refused(1, 24, changed(1, 26), "question 0 has 24 bytes, expected 26");
  refused(1, 24, changed(2, 1), "question 0 has the index 1, expected 0");
  refused(1, 24, changed(3, 2), "the label of question 0 is 2, expected less than 2, its number of endings");
  refused(1, 24, changed(4, 0), "the label of question 0 is 1, expected less than 0, its number of endings");
  refused(1, 24, changed(5, 0), "the context of question 0 has 0 tokens");
  refused(1, 24, changed(7, 0), "ending 0 of question 0 has 0 tokens");
  refused(1, 24, changed(9, 3), "ending 1 of question 0");
  refused(1, 24, changed(9, 65535), "ending 1 of question 0");
  std::vector<std::uint16_t> more = kWords;
  more.push_back(5);
  refused(1, 24, more, "the questions");
  std::string version = file(1, 24, kWords);
  version[4] = 2;
  CHECK_THROWS_WITH(parse(version), contains("version is 2, expected 1"));
  CHECK_THROWS_WITH(parse("short"), contains("f.bin"));
  for (std::size_t size = 0; size < file(1, 24, kWords).size(); ++size)
    CHECK_THROWS_AS(parse(file(1, 24, kWords).substr(0, size)), Error);
}

TEST_CASE("choices: ids outside the vocabulary, and questions that the format cannot hold, are refused") {
  CHECK_THROWS_WITH(check_tokens(kQuestions, 65535, "f.bin"),
                    contains("f.bin: question 0 has the token id 65535"));
  check_tokens(kQuestions, 65536, "f.bin");
  CHECK_THROWS_WITH(check_tokens(std::vector<Question>{{{1}, {{2}, {3}}, 0}}, 3, "f.bin"),
                    contains("question 0 has the token id 3, expected 0 .. V-1=2"));
  const TemporaryDirectory temporary;
  const auto refused = [&](const Question& question, const std::string& why) {
    CHECK_THROWS_WITH(write_choices(temporary / "a.bin", std::vector<Question>{question}), contains(why));
    CHECK_FALSE(std::filesystem::exists(temporary / "a.bin"));
  };
  refused({{65536}, {{1}}, 0}, "question 0 has the token id 65536");
  refused({{}, {{1}}, 0}, "has an empty text or no right ending");
  refused({{1}, {{1}, {}}, 0}, "has an empty text or no right ending");
  refused({{1}, {{1}}, 1}, "has an empty text or no right ending");
  // With 7 more numbers in the question, 32,760 tokens of context fit, 32,761 do not.
  refused({std::vector<std::int32_t>(32'761, 1), {{1}}, 0}, "has 65538 bytes, expected at most 65535");
  write_choices(temporary / "a.bin", std::vector<Question>{{std::vector<std::int32_t>(32'759, 1), {{1}}, 0}});
  CHECK(read_choices(temporary / "a.bin")[0].context.size() == 32'759);
}

TEST_CASE("story choices: the right ending continues a story, and the grammar cannot write the wrong ones") {
  const std::vector<Question> questions = story_choices(5, 60);
  REQUIRE(questions.size() == 60);
  std::map<std::size_t, int> labels;
  // The rest of each story, to score the whole: the questions come from the stories of stream 13.
  Rng rng(5, 13);
  for (const Question& question : questions) {
    REQUIRE(question.endings.size() == 4);
    ++labels[question.label];
    CHECK(question.context.front() == story_tokenizer().end_of_text());
    for (std::size_t i = 0; i < 4; ++i) {
      const std::vector<std::int32_t>&ending = question.endings[i], &right = question.endings[question.label];
      CHECK(question.context.size() + ending.size() <= 128);
      CHECK(std::vector(ending.begin() + 1, ending.end()) == std::vector(right.begin() + 1, right.end()));
      for (std::size_t j = 0; j < i; ++j) CHECK(ending.front() != question.endings[j].front());
      // score() needs a whole story. If it fails, it names the token that the grammar cannot write.
      std::vector<std::int32_t> text = question.context;
      text.insert(text.end(), ending.begin(), ending.end());
      std::vector<float> nats(text.size());
      std::string error;
      try {
        story_grammar().score(text, nats);
      } catch (const Error& e) {
        error = e.what();
      }
      INFO(story_tokenizer().decode(text) << "\n" << error);
      const bool at_wrong_token =
          error.find(str("token ", question.context.size(), " ")) != std::string::npos;
      CHECK(at_wrong_token == (i != question.label));
    }
  }
  for (std::size_t label = 0; label < 4; ++label) CHECK(labels[label] > 5);
  CHECK(same(story_choices(5, 60), questions));
  CHECK_FALSE(same(story_choices(6, 60), questions));
}

TEST_CASE("story choices: the corpus of stories has the questions of its seed") {
  const TemporaryDirectory temporary;
  const StoryCorpus corpus = write_story_corpus(temporary / "data", 1000, 1000, 9);
  CHECK(corpus.choices_path == (temporary / "data/stories_choices.bin"));
  CHECK(same(read_choices(corpus.choices_path), story_choices(9, 500)));
}

}  // namespace
}  // namespace inkling
