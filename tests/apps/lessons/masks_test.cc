// Lesson 3: the documents' examples of masks, and what real models show with and without them.
#include "apps/chat/chat_template.h"
#include "apps/lessons/gpt2_words.h"
#include "apps/lessons/masks/masked_gpt.h"
#include "apps/lessons/masks/story_talk.h"
#include "apps/text/stories.h"
#include "tests/apps/lessons/lesson.h"
#include "tests/apps/process.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("lesson 3: the causal mask of the documents' sentence") {
  const nlohmann::json& lesson = lesson_json("3");
  CHECK(value(lesson, "mask.pairs") == 36);
  CHECK(value(lesson, "mask.allowed") == 21);
  CHECK(value(lesson, "mask.before_on") == 3);  // "on" is predicted from "The cat sat"
  for (std::size_t t = 0; t < 6; ++t) {
    for (std::size_t k = 0; k < 6; ++k)
      CHECK(lesson["charts"]["mask.picture"]["values"][t * 6 + k] == (k <= t ? 1.0 : 0.0));
  }
  double sum = 0;
  for (const double score : {0.5, 1.0, 2.0}) sum += std::exp(score);
  CHECK(value(lesson, "row.masked.3") == approx(std::exp(2.0) / sum).epsilon(1e-5));
  CHECK(value(lesson, "row.masked.4") == 0);
  CHECK(value(lesson, "row.open.4") == approx(std::exp(3.0) / (sum + std::exp(3.0))).epsilon(1e-5));
}

TEST_CASE("lesson 3: with the causal mask as a matrix, losses and gradients are the engine's") {
  GPT2 model({.max_seq_len = 8, .vocab_size = 20, .layers = 2, .heads = 2, .channels = 16});
  model.initialise(3);
  std::vector<std::int32_t> ids = {1, 5, 7, 2, 9, 9, 0, 19, 3, 3, 4, 5, 6, 7, 8, 1},
                            targets(ids.rbegin(), ids.rend());
  const Tensor x(ids.data(), {2, 8}), y(targets.data(), {2, 8});
  const auto gradients_of = [&](const auto& loss_of) {
    Tape tape;
    const Tensor loss = loss_of(tape);
    const double value = static_cast<double>(loss.item());
    tape.backward(loss);
    const std::span<const float> g = model.parameters().gradients();
    return std::pair{value, std::vector<float>(g.begin(), g.end())};
  };
  MaskedGpt masked(model, Sees::past, 8), open(model, Sees::everything, 8);
  const auto engine = gradients_of([&](Tape& tape) { return model.loss(tape, x, y); });
  const auto same = gradients_of([&](Tape& tape) { return masked.loss(tape, x, y); });
  const auto other = gradients_of([&](Tape& tape) { return open.loss(tape, x, y); });
  CHECK(same.first == approx(engine.first).epsilon(1e-5));
  CHECK(std::abs(other.first - engine.first) > 1e-4);
  double most = 0;
  for (std::size_t i = 0; i < engine.second.size(); ++i)
    most =
        std::max(most, std::abs(static_cast<double>(same.second[i]) - static_cast<double>(engine.second[i])));
  CHECK(most < 1e-4);
}

TEST_CASE("lesson 3: without the mask, a trained model looks at the future, and its past changes") {
  const nlohmann::json& lesson = lesson_json("3");
  CHECK(value(lesson, "maps.difference") < 1e-4);
  CHECK(value(lesson, "maps.future.masked") == 0);
  CHECK(value(lesson, "maps.future.open") > 0.2);
  CHECK(value(lesson, "maps.change.masked") == 0);  // not a single bit
  CHECK(value(lesson, "maps.change.open") > 0.1);
}

TEST_CASE(
    "lesson 3: trained without the causal mask, the loss is below the minimum over rows and the model cannot "
    "write") {
  const nlohmann::json& lesson = lesson_json("3");
  const double minimum = value(lesson, "future.min_over_rows");
  CHECK(value(lesson, "future.right.row") > minimum);
  CHECK(value(lesson, "future.right.row") < 1.5 * minimum);
  CHECK(value(lesson, "future.open.row") < minimum / 4);
  CHECK(value(lesson, "future.open.last") > 10 * value(lesson, "future.open.row"));
  CHECK(value(lesson, "future.open.writing") > 2 * value(lesson, "future.right.row"));
  CHECK(value(lesson, "future.right.tokens") > 10);
  CHECK(value(lesson, "future.open.tokens") < 5);
}

TEST_CASE("lesson 3: the documents' conversation about France, token by token") {
  const nlohmann::json& lesson = lesson_json("3");
  const std::vector<std::string> ids = {"50256", "198",  "12982", "25",   "220", "2061",  "338", "262",
                                        "3139",  "286",  "4881",  "30",   "198", "48902", "25",  "220",
                                        "464",   "3139", "286",   "4881", "318", "6342",  "13",  "50256"};
  CHECK(value(lesson, "france.tokens") == 24);
  CHECK(value(lesson, "france.counted") == 8);  // The capital of France is Paris . <e>
  for (std::size_t n = 0; n < ids.size(); ++n) {
    const std::string name = "france." + std::to_string(n) + ".";
    check_printed(lesson, {{name + "id", ids[n]}});
    if (n > 0) check_printed(lesson, {{name + "label", n < 16 ? "-100" : ids[n]}});
    if (n >= 16) CHECK(value(lesson, name + "p.masked") > 0.9);
  }
  CHECK(value(lesson, "france.masked.answer") < 0.1);
  CHECK(value(lesson, "france.masked.question") > 3);
  CHECK(value(lesson, "france.unmasked.question") < 0.1);
}

TEST_CASE("lesson 3: the ids of the conversation are the ids of GPT-2's own tokenizer") {
  const Tokenizer gpt2 = Tokenizer::read("tests/goldens/gpt2_tokenizer.bin");
  for (const std::string text : {"What's the capital of France?", "The capital of France is Paris.",
                                 "\nUser: ", "\nAssistant: ", "\nSystem: "}) {
    std::vector<std::int32_t> ids;
    for (const Gpt2Word& word : gpt2_words(text)) ids.push_back(word.id);
    INFO(text);
    CHECK(ids == gpt2.encode(text));
  }
}

TEST_CASE("lesson 3: talks fit into a row, and their tokenizer encodes stories as the stories' own does") {
  Rng rng(5);
  ChatTemplate chat_template(talk_tokenizer());
  for (int i = 0; i < 300; ++i) {
    const Conversation talk = write_talk(rng);
    CHECK(talk.turns.size() == 4);
    CHECK(std::ssize(chat_template.encode(talk).ids) <= kTalkTokens);
    const Story story = write_story(rng);
    const std::vector<std::int32_t> ids(story.tokens.begin() + 1, story.tokens.end());
    CHECK(talk_tokenizer().encode(story_tokenizer().decode(ids)) == ids);
  }
}

TEST_CASE("lesson 3: with the loss mask a model answers sooner, and forgets how to ask") {
  const nlohmann::json& lesson = lesson_json("3");
  CHECK(value(lesson, "tune.share") > 0.1);
  CHECK(value(lesson, "tune.share") < 0.25);
  CHECK(value(lesson, "tune.masked.0.exact") == 0);
  CHECK(value(lesson, "tune.masked.100.exact") > value(lesson, "tune.unmasked.100.exact"));
  for (const char* step : {"25", "50", "100", "150", "200"}) {
    INFO(step);
    const std::string masked = std::string("tune.masked.") + step,
                      unmasked = std::string("tune.unmasked.") + step;
    CHECK(value(lesson, masked + ".answers") < value(lesson, unmasked + ".answers"));
    CHECK(value(lesson, masked + ".questions") > value(lesson, unmasked + ".questions") + 2);
  }
  CHECK(value(lesson, "tune.masked.300.exact") > 0.2);
  CHECK(value(lesson, "tune.unmasked.300.exact") > 0.5 * value(lesson, "tune.masked.300.exact"));
  CHECK(value(lesson, "tune.masked.300.stories") > value(lesson, "tune.unmasked.300.stories") + 1);
}

TEST_CASE("lesson 3: each break draws a wrong curve over the right one") {
  const nlohmann::json& lesson = lesson_json("3");
  const std::map<std::string, std::string> charts = {{"no-causal-mask", "future.chart"},
                                                     {"no-loss-mask", "tune.answers"}};
  for (const auto& [broken, chart] : charts) {
    INFO(broken);
    const nlohmann::json& series = lesson_json("3", broken)["charts"][chart]["series"];
    CHECK(lesson["charts"][chart]["series"].size() == 1);
    REQUIRE(series.size() == 2);
    CHECK(series[1]["look"] == "wrong");
  }
  const nlohmann::json& open = lesson_json("3", "no-causal-mask");
  CHECK(value(open, "broken.causal.loss") < value(open, "future.min_over_rows") / 2);
}

}  // namespace
}  // namespace inkling
