// What a model of the stories can do, measured as probabilities at places where the grammar leaves only one
// answer.
//
// At such a place the text so far decides: who is the hero, is it "he" or "she", what was lost. The rivals
// are the words of the same kind. P(right) is the model's probability of the right word among the rivals. So
// a model that guesses has 1 / rivals, and a perfect model has 1, like the grammar.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "apps/lessons/story_run.h"

namespace inkling {

enum Ability : std::size_t {
  kQuote,    // a quotation ends where it must; the rivals are all tokens
  kPronoun,  // he or she, his or her: of the hero's gender
  kSound,    // what an animal says: a fact of these stories; the model must remember which animal it was
  kHero,     // the hero's name, said again
  kThing,    // the thing of the story, said again
  kPair,     // after its colour, the thing that had this colour before
  kNovel,    // random words repeat, which no story does; the rivals are all tokens
  kAbilities,
};

struct AbilityText {
  std::string name, question;  // "the hero's name", "who is the story about?"
};
const AbilityText& text_of(Ability ability);

// A place: the target of position `at` (row * T + t) and its rivals. The right answers are a set: for
// kPronoun all pronouns of the gender, otherwise one token.
struct Place {
  std::int64_t at;
  std::vector<std::int32_t> right, rivals;  // no rivals: all tokens are
};
using Places = std::array<std::vector<Place>, kAbilities>;

// The places in rows of stories. kNovel has none: its rows are novel_rows().
Places places_in(const StoryRows& rows);

// Rows of random words: eight different tokens, again and again. The places are the repetitions.
StoryRows novel_rows(std::int64_t B, std::int64_t T, Rng& rng);
std::vector<Place> novel_places(const StoryRows& rows);

// What a model does at the places of one ability.
struct Skill {
  double p = 0;        // the mean P(right)
  double correct = 0;  // the share of places where the right word is the most probable of the rivals
  double chance = 0;   // the mean P(right) of a guess: 1 / rivals
  std::int64_t places = 0;
};

struct Examination {
  std::array<Skill, kAbilities> skills;
  double flawless = 0;  // the share of rows without any mistake among the places of stories
  double loss = 0;      // the mean loss on the rows of stories
};

// The questions: rows that no training has seen.
class Exam {
 public:
  Exam(std::int64_t B, std::int64_t T, std::uint64_t seed);
  Examination examine(GPT2& model);
  const StoryRows& stories() const { return stories_; }
  const Places& places() const { return places_; }
  std::int64_t tokens() const { return stories_.B * stories_.T; }

 private:
  StoryRows stories_, novel_;
  Places places_;
};

}  // namespace inkling
