#include "apps/lessons/scale/abilities.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "apps/text/stories.h"
#include "core/error.h"
#include "core/portable_math.h"
#include "ops/softmax.h"

namespace inkling {

namespace {

constexpr std::uint64_t kExamStream = 1009, kNovelStream = 1010;
constexpr std::int64_t kNovelWords = 8;  // the length of a repeated sequence
constexpr std::int64_t kRowsAtOnce = 8;  // of logits in memory

std::int32_t token(const std::string& text) {
  const std::vector<std::int32_t> ids = story_tokenizer().encode(text);
  if (ids.size() != 1) fail("lesson: \"", text, "\" is ", ids.size(), " tokens, expected one");
  return ids[0];
}

// A word of a list of the grammar, and all words of that list.
std::vector<std::int32_t> list_of(const std::string& word) {
  std::vector<std::int32_t> words = story_grammar().similar_tokens(token(word));
  words.push_back(token(word));
  std::sort(words.begin(), words.end());
  return words;
}

bool among(std::int32_t id, const std::vector<std::int32_t>& ids) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

// The words that abilities are about.
struct Words {
  std::vector<std::int32_t> heroes = list_of(" Tom"), things = list_of(" kite"), sounds = list_of("Hoot");
  std::vector<std::int32_t> he, she;
  std::vector<std::int32_t> quotes;  // marks that end a quotation
  std::vector<std::int32_t> pronouns;

  Words() {
    for (const char* text : {" He", " he", " him", " His", " his"}) he.push_back(token(text));
    for (const char* text : {" She", " she", " her", " Her"}) she.push_back(token(text));
    pronouns = he;
    pronouns.insert(pronouns.end(), she.begin(), she.end());
    for (std::int32_t id = 0; id < story_tokenizer().vocab_size(); ++id) {
      const std::string& text = story_tokenizer().token(id);
      if (text.size() == 2 && text[1] == '"' && text[0] != ' ') quotes.push_back(id);
    }
  }
};
const Words& words() {
  static const Words all;
  return all;
}

// Adds the places of one target to `places`. `said` are the tokens of the story before the target, `nats` is
// -log p of the target under the grammar.
void add_places(Places& places, std::int64_t at, std::int32_t target, float nats,
                const std::vector<std::int32_t>& said) {
  const Words& w = words();
  const bool again = among(target, said);
  if (nats == 0.0f && among(target, w.quotes)) places[kQuote].push_back({at, {target}, {}});
  for (const auto* pronouns : {&w.he, &w.she}) {
    if (among(target, *pronouns)) places[kPronoun].push_back({at, *pronouns, w.pronouns});
  }
  if (among(target, w.sounds)) places[kSound].push_back({at, {target}, w.sounds});
  if (again && among(target, w.heroes)) places[kHero].push_back({at, {target}, w.heroes});
  if (!again || !among(target, w.things)) return;
  places[kThing].push_back({at, {target}, w.things});
  // Was the pair of the last token and this one said before?
  for (std::size_t i = 0; i + 2 < said.size(); ++i) {
    if (said[i] != said.back() || said[i + 1] != target) continue;
    places[kPair].push_back({at, {target}, w.things});
    break;
  }
}

// The probabilities (T, V) of a row.
struct RowProbabilities {
  const float* logits;
  std::int64_t Vp, V;

  // P(right among rivals) at position t, and whether the most probable rival is right.
  std::pair<double, bool> at(std::int64_t t, const Place& place) const {
    const float* z = logits + t * Vp;
    const float most = *std::max_element(z, z + V);
    double right = 0, all = 0;
    std::int32_t best = -1;
    const auto count = [&](std::int32_t id) {
      const double e = portable::exp(static_cast<double>(z[id]) - static_cast<double>(most));
      all += e;
      if (among(id, place.right)) right += e;
      if (best < 0 || z[id] > z[best]) best = id;
    };
    if (place.rivals.empty()) {
      for (std::int32_t id = 0; id < V; ++id) count(id);
    } else {
      for (const std::int32_t id : place.rivals) count(id);
    }
    return {all > 0 ? right / all : 0, among(best, place.right)};
  }
};

// Calls visit(row, probabilities) for each row of a model.
template <class Visit>
void for_each_row(GPT2& model, StoryRows& rows, Visit visit) {
  const std::int64_t T = rows.T, V = model.config().vocab_size;
  for (std::int64_t b = 0; b < rows.B; b += kRowsAtOnce) {
    Tape tape(Recording::off);
    const std::int64_t count = std::min(kRowsAtOnce, rows.B - b);
    const Tensor logits = model.logits(tape, Tensor(rows.ids.data() + b * T, {count, T}));
    for (std::int64_t r = 0; r < count; ++r)
      visit(b + r, RowProbabilities{logits.f32() + r * T * logits.dim(2), logits.dim(2), V});
  }
}

}  // namespace

const AbilityText& text_of(Ability ability) {
  static const std::array<AbilityText, kAbilities> texts = {{
      {"the closing quote", "does the quotation end here?"},
      {"the pronoun", "he or she?"},
      {"the animal's sound", "what does an owl say?"},
      {"the hero's name", "who is the story about?"},
      {"the thing", "what was lost, and found again?"},
      {"colour and thing", "what was red?"},
      {"a new pattern", "random words repeat: what comes next?"},
  }};
  return texts[ability];
}

Places places_in(const StoryRows& rows) {
  Places places;
  for (std::int64_t b = 0; b < rows.B; ++b) {
    std::vector<std::int32_t> said;
    for (std::int64_t t = 0; t < rows.T; ++t) {
      const auto at = static_cast<std::size_t>(b * rows.T + t);
      if (rows.ids[at] == story_tokenizer().end_of_text()) said.clear();
      said.push_back(rows.ids[at]);
      add_places(places, b * rows.T + t, rows.targets[at], rows.nats[at], said);
    }
  }
  return places;
}

StoryRows novel_rows(std::int64_t B, std::int64_t T, Rng& rng) {
  StoryRows rows{.B = B, .T = T};
  const auto V = static_cast<std::uint64_t>(story_tokenizer().end_of_text());  // all tokens but end-of-text
  for (std::int64_t b = 0; b < B; ++b) {
    std::vector<std::int32_t> sequence;
    while (std::ssize(sequence) < kNovelWords) {
      const auto id = static_cast<std::int32_t>(rng.below(V));
      if (!among(id, sequence)) sequence.push_back(id);
    }
    for (std::int64_t t = 0; t < T; ++t) {
      const auto word = [&](std::int64_t i) { return sequence[static_cast<std::size_t>(i % kNovelWords)]; };
      rows.ids.push_back(t == 0 ? story_tokenizer().end_of_text() : word(t - 1));
      rows.targets.push_back(word(t));
      rows.nats.push_back(0);
    }
  }
  return rows;
}

std::vector<Place> novel_places(const StoryRows& rows) {
  std::vector<Place> places;
  for (std::int64_t at = 0; at < rows.B * rows.T; ++at) {
    if (at % rows.T >= kNovelWords) places.push_back({at, {rows.targets[static_cast<std::size_t>(at)]}, {}});
  }
  return places;
}

Exam::Exam(std::int64_t B, std::int64_t T, std::uint64_t seed) {
  Rng rng(seed, kExamStream), novel(seed, kNovelStream);
  stories_ = story_rows(B, T, rng);
  places_ = places_in(stories_);
  novel_ = novel_rows(B / 4, T, novel);
  places_[kNovel] = novel_places(novel_);
}

Examination Exam::examine(GPT2& model) {
  Examination result;
  const auto V = static_cast<double>(model.config().vocab_size);
  std::vector<bool> flawed(static_cast<std::size_t>(stories_.B), false);
  const auto answer = [&](StoryRows& rows, std::int64_t b, const RowProbabilities& row, std::size_t a) {
    Skill& skill = result.skills[a];
    for (const Place& place : places_[a]) {
      if (place.at / rows.T != b) continue;
      const auto [p, correct] = row.at(place.at % rows.T, place);
      skill.p += p;
      skill.correct += correct ? 1 : 0;
      skill.chance += static_cast<double>(place.right.size()) /
                      (place.rivals.empty() ? V : static_cast<double>(place.rivals.size()));
      ++skill.places;
      if (!correct && a != kNovel) flawed[static_cast<std::size_t>(b)] = true;
    }
  };
  for_each_row(model, stories_, [&](std::int64_t b, const RowProbabilities& row) {
    for (std::size_t a = 0; a < kNovel; ++a) answer(stories_, b, row, a);
  });
  for_each_row(model, novel_,
               [&](std::int64_t b, const RowProbabilities& row) { answer(novel_, b, row, kNovel); });
  for (Skill& skill : result.skills) {
    const auto places = static_cast<double>(skill.places);
    if (skill.places > 0) skill.p /= places, skill.correct /= places, skill.chance /= places;
  }
  const auto rows = static_cast<double>(stories_.B);
  result.flawless = static_cast<double>(std::count(flawed.begin(), flawed.end(), false)) / rows;
  result.loss = mean_loss(model, stories_);
  return result;
}

}  // namespace inkling
