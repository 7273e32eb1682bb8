#include "apps/lessons/masks/story_talk.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <string>
#include <vector>

#include "apps/chat/chat_template.h"
#include "apps/chat/story_chats.h"
#include "apps/text/stories.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr std::size_t kBeginning = 60, kQuestions = 2;  // tokens of a story, questions about it
constexpr std::uint64_t kWordStream = 3101;
constexpr int kWordStories = 1500;  // stories whose questions are searched for words

// Whole sentences from the beginning of a story, at most kBeginning tokens.
std::string beginning(const Story& story) {
  std::string text;
  std::size_t end = 0;
  for (std::size_t i = 1; i < std::min(story.tokens.size(), kBeginning); ++i) {
    text += story_tokenizer().token(story.tokens[i]);
    if (text.ends_with('.') || text.ends_with('!') || text.ends_with('"')) end = text.size();
  }
  return text.substr(0, end);
}

// The questions about a beginning. There are none if it has not named its hero yet.
std::vector<QuestionAnswer> questions_about(const std::string& text) {
  try {
    return story_questions(text);
  } catch (const Error&) {
    return {};
  }
}

// Adds the words of a text, each with the space before it, and its marks.
void add_words(const std::string& text, std::set<std::string>& words) {
  const auto letter = [&](std::size_t i) {
    return i < text.size() && std::isalpha(static_cast<unsigned char>(text[i])) != 0;
  };
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = text[i] == ' ' ? i + 1 : i;
    if (letter(end)) {
      while (letter(end)) ++end;
    } else {
      ++end;
    }
    words.insert(text.substr(i, end - i));
    i = end;
  }
}

Tokenizer make_tokenizer() {
  std::set<std::string> words;
  Rng rng(kWordStream);
  for (int i = 0; i < kWordStories; ++i) {
    for (const QuestionAnswer& qa : questions_about(beginning(write_story(rng)))) {
      add_words(" " + qa.question, words);  // after the story
      add_words(qa.question, words);        // alone in its turn
      add_words(qa.answer, words);
    }
  }
  for (const Role role : {Role::system, Role::user, Role::assistant})
    words.insert(std::string(turn_prefix(role)));
  const Tokenizer& stories = story_tokenizer();
  std::vector<std::string> tokens;
  for (std::int32_t id = 0; id < stories.vocab_size(); ++id) tokens.push_back(stories.token(id));
  for (const std::string& token : tokens) words.erase(token);
  tokens.insert(tokens.end(), words.begin(), words.end());
  return Tokenizer(tokens, stories.end_of_text(), "the words of stories and of questions about them");
}

}  // namespace

const Tokenizer& talk_tokenizer() {
  static const Tokenizer tokenizer = make_tokenizer();
  return tokenizer;
}

Conversation write_talk(Rng& rng) {
  for (;;) {
    const std::string story = beginning(write_story(rng));
    std::vector<QuestionAnswer> questions = questions_about(story);
    if (questions.size() < kQuestions) continue;
    Conversation talk;
    for (std::size_t asked = 0; asked < kQuestions; ++asked) {
      const auto chosen = questions.begin() + static_cast<std::ptrdiff_t>(rng.below(questions.size()));
      talk.turns.push_back({Role::user, asked == 0 ? story + " " + chosen->question : chosen->question});
      talk.turns.push_back({Role::assistant, chosen->answer});
      questions.erase(chosen);
    }
    return talk;
  }
}

}  // namespace inkling
