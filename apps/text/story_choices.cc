#include "apps/text/story_choices.h"

#include <optional>

#include "apps/text/stories.h"

namespace inkling {

namespace {

constexpr std::uint64_t kChoicesStream = 13;
constexpr std::size_t kEndings = 4;
constexpr std::size_t kMostTokens = 128;  // of a context and an ending: the rows of `make train`

using Tokens = std::vector<std::int32_t>;

// Returns the end of the sentence that has the token `at`.
std::size_t end_of_sentence(const Tokens& tokens, std::size_t at) {
  const Tokenizer& tokenizer = story_tokenizer();
  while (at < tokens.size() && tokenizer.token(tokens[at]).find_first_of(".!?") == std::string::npos) ++at;
  return std::min(at + 1, tokens.size());
}

// Makes a question about a story, if the story has a place for one.
std::optional<Question> question_about(const Story& story, Rng& rng) {
  std::vector<std::size_t> places;
  for (std::size_t i = 1; i < story.tokens.size(); ++i) {
    const bool certain = story.nats[i] == 0.0f;
    if (certain && end_of_sentence(story.tokens, i) <= kMostTokens &&
        story_grammar().similar_tokens(story.tokens[i]).size() >= kEndings - 1)
      places.push_back(i);
  }
  if (places.empty()) return std::nullopt;
  const std::size_t at = places[rng.below(places.size())], end = end_of_sentence(story.tokens, at);
  const auto begin = story.tokens.begin();
  const auto offset = [](std::size_t i) { return static_cast<std::ptrdiff_t>(i); };
  Question question;
  question.context.assign(begin, begin + offset(at));
  const Tokens right(begin + offset(at), begin + offset(end));
  Tokens similar = story_grammar().similar_tokens(right.front());
  for (std::size_t i = 0; i + 1 < kEndings; ++i) {  // the first steps of a shuffle
    std::swap(similar[i], similar[i + rng.below(similar.size() - i)]);
    question.endings.push_back(right);
    question.endings.back().front() = similar[i];
  }
  question.label = rng.below(kEndings);
  question.endings.insert(question.endings.begin() + offset(question.label), right);
  return question;
}

}  // namespace

std::vector<Question> story_choices(std::uint64_t seed, std::int64_t count) {
  Rng rng(seed, kChoicesStream);
  std::vector<Question> questions;
  while (std::ssize(questions) < count) {
    if (auto question = question_about(write_story(rng), rng)) questions.push_back(std::move(*question));
  }
  return questions;
}

}  // namespace inkling
