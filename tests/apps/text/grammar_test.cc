// The probabilities of the grammar must be exact. The test shares no code with the grammar: loops written by
// hand list all texts of a small grammar with their probabilities. Then p(token | tokens before) is a ratio
// of two sums over that list.
#include "apps/text/grammar.h"

#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "tests/catch.h"

namespace inkling {
namespace {

using test::contains;
using Ids = std::vector<std::int32_t>;

// A grammar that uses every feature: weights, empty alternatives, rules, quotes, values of several words, and
// rows that share values.
constexpr std::string_view kSmall = R"(
# who
list hero
  Tom   boy   He
  Ben   boy   He
  Lily  girl  She

list place
  in_the_garden  bush / in_the_forest  tree / at_home  bed

story =
    3 A {boy} named {Tom} was <very> {in_the_garden}. <end>
  | {Tom} was {in_the_garden}. <end>

very =
  3 | (2 very | so) happy

end =
  "{He} is <very> here!" said the {boy} by the {bush}.
)";

// All texts of kSmall with their probabilities, written by hand after the grammar's text.
std::map<std::string, double> all_texts() {
  struct Hero {
    std::string name, kind, he;
  };
  struct Place {
    std::string in, bush;
  };
  const std::vector<Hero> heroes = {{"Tom", "boy", "He"}, {"Ben", "boy", "He"}, {"Lily", "girl", "She"}};
  const std::vector<Place> places = {
      {"in the garden", "bush"}, {"in the forest", "tree"}, {"at home", "bed"}};
  const std::vector<std::pair<std::string, double>> veries = {
      {"", 3.0 / 4}, {" very happy", 1.0 / 4 * 2 / 3}, {" so happy", 1.0 / 4 / 3}};
  std::map<std::string, double> texts;
  for (const Hero& hero : heroes) {
    for (const Place& place : places) {
      for (const auto& [second, p2] : veries) {
        const double p = 1.0 / 3 / 3 * p2;
        const std::string end = " " + place.in + ". \"" + hero.he + " is" + second + " here!\" said the " +
                                hero.kind + " by the " + place.bush + ".";
        texts[hero.name + " was" + end] += 1.0 / 4 * p;
        for (const auto& [first, p1] : veries) {
          texts["A " + hero.kind + " named " + hero.name + " was" + first + end] += 3.0 / 4 * p * p1;
        }
      }
    }
  }
  return texts;
}

Ids with_end_of_text(const Grammar& grammar, const std::string& text) {
  Ids ids = grammar.tokenizer().encode(text);
  ids.insert(ids.begin(), grammar.tokenizer().end_of_text());
  return ids;
}

// The sum of the probabilities of all texts that begin with these tokens.
double prefix_probability(const std::vector<std::pair<Ids, double>>& texts,
                          std::span<const std::int32_t> prefix) {
  double p = 0;
  for (const auto& [ids, probability] : texts) {
    if (ids.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), ids.begin()))
      p += probability;
  }
  return p;
}

constexpr double kFloatRounding = 1e-6;  // nats are stored as float

TEST_CASE("grammar: score() gives the exact conditional probability of each token of each text") {
  const Grammar grammar(kSmall);
  std::vector<std::pair<Ids, double>> texts;
  double total = 0;
  for (const auto& [text, p] : all_texts()) {
    texts.emplace_back(with_end_of_text(grammar, text), p);
    total += p;
  }
  REQUIRE(std::abs(total - 1) < 1e-12);
  REQUIRE(texts.size() == 108);
  for (const auto& [ids, p] : texts) {
    std::vector<float> nats(ids.size());
    grammar.score(ids, nats);
    CHECK(nats[0] == 0);
    for (std::size_t i = 1; i < ids.size(); ++i) {
      const std::span<const std::int32_t> all(ids);
      const double expected =
          -std::log(prefix_probability(texts, all.first(i + 1)) / prefix_probability(texts, all.first(i)));
      REQUIRE(std::abs(nats[i] - expected) < kFloatRounding);
    }
    const double sum = std::accumulate(nats.begin(), nats.end(), 0.0);
    REQUIRE(std::abs(sum + std::log(p)) < 10 * kFloatRounding);
  }
}

TEST_CASE("grammar: write() writes each text with its probability, and with the nats that score() computes") {
  const Grammar grammar(kSmall);
  const std::map<std::string, double> texts = all_texts();
  std::map<std::string, int> seen;
  Rng rng(3);
  constexpr int kStories = 50'000;
  for (int i = 0; i < kStories; ++i) {
    Story story;
    grammar.write(rng, story);
    std::vector<float> nats(story.tokens.size());
    grammar.score(story.tokens, nats);
    REQUIRE(nats == story.nats);
    ++seen[grammar.tokenizer().decode(std::span(story.tokens).subspan(1))];
  }
  for (const auto& [text, count] : seen) REQUIRE(texts.contains(text));
  for (const auto& [text, p] : texts) {
    const double expected = p * kStories, deviation = std::sqrt(expected * (1 - p));
    INFO(text);
    CHECK(std::abs(seen[text] - expected) <
          5 * deviation);  // 5 standard deviations; by chance, one of the 108 texts fails in 1 of 10,000 runs
  }
}

TEST_CASE("grammar: several stories in sequence are scored one by one") {
  const Grammar grammar(kSmall);
  Rng rng(4);
  Story stories;
  for (int i = 0; i < 50; ++i) grammar.write(rng, stories);
  std::vector<float> nats(stories.tokens.size());
  grammar.score(stories.tokens, nats);
  CHECK(nats == stories.nats);
}

TEST_CASE("grammar: score() refuses a text that the grammar cannot write, at the first wrong token") {
  const Grammar grammar(kSmall);
  const auto score = [&](const Ids& ids) {
    std::vector<float> nats(ids.size());
    grammar.score(ids, nats);
  };
  const Ids good =
      with_end_of_text(grammar, "A boy named Tom was at home. \"He is here!\" said the boy by the bed.");
  REQUIRE_NOTHROW(score(good));
  const auto refused = [&](const std::string& text, const std::string& message) {
    CHECK_THROWS_WITH(score(with_end_of_text(grammar, text)), contains(message));
  };
  refused("A boy named Lily", "token 4 is \" Lily\", which the grammar cannot write here, after \" named\"");
  refused("A boy named Tom was at home. \"She", "token 10 is \"She\"");
  refused("A boy named Tom was in the forest. \"He is here!\" said the boy by the bed.",
          "token 20 is \" bed\"");
  refused("A boy named Tom was at home", "ends too early, after token 7, \" home\"");
  refused("", "too early");
  for (std::size_t length = 1; length < good.size(); ++length) {
    CHECK_THROWS_WITH(score(Ids(good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length))),
                      contains("too early"));
  }
  CHECK_THROWS_WITH(score(Ids(good.begin() + 1, good.end())),
                    contains("token 0 is \"A\", expected \"<|endoftext|>\""));
  Ids odd = good;
  odd[1] = 9999;
  CHECK_THROWS_WITH(score(odd), contains("token 1 is id 9999"));
  odd = good;
  odd.push_back(odd[1]);
  CHECK_THROWS_WITH(score(odd), contains("\"A\""));
}

TEST_CASE("grammar: a word's token has a leading space, except at the start and after an opening quote") {
  const Grammar grammar("story = Yes, (\"No!\" | so) it (\"is | was).");
  std::vector<std::string> tokens;
  for (std::int32_t id = 0; id < grammar.tokenizer().vocab_size(); ++id)
    tokens.push_back(grammar.tokenizer().token(id));
  CHECK(tokens == std::vector<std::string>{"Yes", ",", " \"", "No", "!\"", " so", " it", "is", " was", ".",
                                           "<|endoftext|>"});
  CHECK(grammar.tokenizer().end_of_text() == 10);
}

TEST_CASE(
    "grammar: a quote opens at the start and after a space, a parenthesis or a bar, and closes elsewhere") {
  const auto tokens_of = [](const char* notation) {
    const Grammar grammar(notation);
    std::vector<std::string> tokens;
    for (std::int32_t id = 0; id < grammar.tokenizer().vocab_size() - 1; ++id)
      tokens.emplace_back(grammar.tokenizer().token(id));
    std::sort(tokens.begin(), tokens.end());
    return tokens;
  };
  // A space after the bar or after the parenthesis does not change the tokens.
  CHECK(tokens_of("story = Yes (he |\"Hi,\" said) so.") == tokens_of("story = Yes (he | \"Hi,\" said) so."));
  CHECK(tokens_of("story = Yes (\"Hi,\" said | he) so.") ==
        tokens_of("story = Yes ( \"Hi,\" said | he) so."));
}

TEST_CASE(
    "grammar: texts with optional words deep inside rules, and several in sequence, have their scores") {
  const auto check = [](const std::string& notation, const std::vector<std::string>& texts) {
    const Grammar grammar(notation);
    for (const std::string& text : texts) {  // all texts of the grammar; they are equally likely
      INFO(text);
      const Ids ids = with_end_of_text(grammar, text);
      std::vector<float> nats(ids.size());
      REQUIRE_NOTHROW(grammar.score(ids, nats));
      CHECK(std::abs(std::accumulate(nats.begin(), nats.end(), 0.0) -
                     std::log(static_cast<double>(texts.size()))) < 10 * kFloatRounding);
    }
  };
  check("story = A <a> b, <a> c.\n\na = e <f>\n\nf = g <h>\n\nh = i <j>\n\nj = k (l |)",
        {"A e g i k b, e g i k c.", "A e g i k b, e g i k l c.", "A e g i k l b, e g i k c.",
         "A e g i k l b, e g i k l c."});
  check("story = A (b |) (c |) (d |) e.",
        {"A e.", "A b e.", "A c e.", "A d e.", "A b c e.", "A b d e.", "A c d e.", "A b c d e."});
}

TEST_CASE("grammar: ambiguous grammars are refused") {
  const auto refused = [](const std::string& text, const std::string& message) {
    CHECK_THROWS_WITH(Grammar(text), contains(message));
  };
  refused("story = A (dog | dog barks).",
          "rule story: ambiguous: \" dog\" can come next in alternatives 1 and 2");
  refused("story = A <b> barks.\n\nb = dog | <c>\n\nc = cat | dog", "rule b: ambiguous: \" dog\"");
  refused("list x\n dog / cat\n\nstory = A ({dog} | cat).", "ambiguous: \" cat\"");
  refused("story = A (very |) very big dog.", "ambiguous: \" very\"");
  refused("story = A (very |) <big> dog.\n\nbig = | very big", "ambiguous: \" very\"");
  refused("story = A dog (barks |)", "it is not clear whether the text has ended");
  refused("story = A <dog>\n\ndog = | dog", "it is not clear whether the text has ended");
  const std::string nested = "\n\na = e <f>\n\nf = g <h>\n\nh = i <j>\n\nj = k (l |)";
  refused("story = A <a> l." + nested, "rule j: ambiguous: \" l\"");
  refused("story = A <a> b, <a> l." + nested, "rule j: ambiguous: \" l\"");
  refused("story = A <a>" + nested, "rule j: after an empty alternative it is not clear whether the text");
  refused("story = A (b |) (c |) (d |) b.", "ambiguous: \" b\"");
  refused("list x\n a_dog / a_dog_house\n\nstory = See {a_dog}.", "one value is the beginning of another");
  refused("list x\n a_dog_house / a_dog\n\nstory = See {a_dog_house}.",
          "one value is the beginning of another");
}

TEST_CASE("grammar: a malformed grammar is refused, and the message says what is wrong") {
  const auto refused = [](const std::string& text, const std::string& message) {
    CHECK_THROWS_WITH(Grammar(text), contains(message));
  };
  refused("", "rule story: is not defined");
  refused("story = A <dog>.", "rule dog: is not defined");
  refused("story = A {dog}.", "rule story: no list has a column {dog}");
  refused("story = A.\n\nstory = B.", "rule story: is defined twice");
  refused("story = A.\n\nb = B.", "rule b: is never used");
  refused("story = A <b>.\n\nb = b <c>\n\nc = c <b>", "contains itself");
  refused("story = A (b | c.", "an opening ( without a closing )");
  refused("story = A b) c.", "a closing ) without an opening (");
  refused("story = A {b.", "a name without a closing }");
  refused("story = A 5 b.", "the character 5 has no meaning here");
  refused("story = A (0 b | c).", "a weight is outside 1 .. 1000");
  refused("story = A (99999999999999999999 b | c).", "a weight is outside 1 .. 1000");
  refused("story: A.", "a paragraph begins with story:");
  refused("list x\n\nstory = A.", "list x: has no rows");
  refused("list x\n a b / c\n\nstory = A.", "the row of c has 1 cells, expected 2");
  refused("list x\n a / / c\n\nstory = A.", "a row has no cells");
  refused("list x\n a\n\nlist y\n a\n\nstory = A.", "column {a} exists already");
  refused("story = (A |) b.", "can be empty, but it begins a story or follows an opening quote");
  refused("story = He said \"(A |) b.\"", "can be empty, but it begins a story or follows an opening quote");
  std::string rows = "r0";
  for (int i = 1; i < 65; ++i) rows += " / r" + std::to_string(i);
  refused("list x\n " + rows + "\n\nstory = A.", "has 65 rows, expected at most 64");
}

}  // namespace
}  // namespace inkling
