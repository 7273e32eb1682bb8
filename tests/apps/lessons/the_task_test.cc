// Lesson 1: the ids and targets of the documents' sentences, and what a trained model does with and without
// help.
#include "apps/lessons/gpt2_words.h"
#include "tests/apps/lessons/lesson.h"
#include "tests/apps/process.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("lesson 1: the table of words encodes the documents' sentences as GPT-2 does") {
  const nlohmann::json goldens = nlohmann::json::parse(read_text("tests/goldens/gpt2_tokens.json"));
  int known = 0;
  for (const std::string sentence :
       {"The capital is Paris", "The capital of France is Paris.", "What is the capital of France?",
        "we love deep learning", "We are all humans born to make mistakes", "The cat sat on the mat"}) {
    for (const auto& golden : goldens.at("texts")) {
      if (golden.at("text") != sentence) continue;
      INFO(sentence);
      std::vector<std::int32_t> ids;
      for (const Gpt2Word& word : gpt2_words(sentence)) ids.push_back(word.id);
      CHECK(ids == golden.at("ids").get<std::vector<std::int32_t>>());
      ++known;
    }
  }
  CHECK(known == 6);
  CHECK_THROWS_WITH(gpt2_words("The dog"), contains("the table of GPT-2's words"));
}

TEST_CASE("lesson 1: inputs are all ids but the last, and targets are all ids but the first") {
  const nlohmann::json& lesson = lesson_json("1");
  const std::map<std::string, std::vector<std::string>> sentences = {
      {"paris", {"464", "3139", "318", "6342"}},
      {"cat", {"464", "3797", "3332", "319", "262", "2603"}},
      {"humans", {"1135", "389", "477", "5384", "4642", "284", "787", "10135"}}};
  for (const auto& [name, ids] : sentences) {
    for (std::size_t t = 0; t < ids.size(); ++t) {
      check_printed(lesson, {{name + ".token." + std::to_string(t), ids[t]}});
      if (t + 1 < ids.size()) check_printed(lesson, {{name + ".target." + std::to_string(t), ids[t + 1]}});
    }
    CHECK(!lesson["numbers"].contains(name + ".target." + std::to_string(ids.size() - 1)));
    CHECK(value(lesson, name + ".pairs") == static_cast<double>(ids.size() - 1));
  }
  check_printed(lesson, {{"bare.capital", "27544"}});
}

TEST_CASE("lesson 1: the tables have every prefix and its target") {
  const std::string text = lesson_run("1").text;
  for (const char* row :
       {"The                 \" cat\"        3797", "The cat             \" sat\"        3332",
        "The cat sat         \" on\"          319", "The cat sat on      \" the\"         262",
        "The cat sat on the  \" mat\"        2603", "We are all humans               \" born\"        4642",
        "We are all humans born to       \" make\"         787",
        "We are all humans born to make  \" mistakes\"   10135",
        "2         \" is\"        318  \" Paris\"    6342"}) {
    CHECK_THAT(text, contains(row));
  }
}

TEST_CASE("lesson 1: the true word gets likelier, whether it was the first choice or not") {
  check_printed(lesson_json("1"),
                {{"signal.likely.gradient", "-0.22"}, {"signal.unlikely.gradient", "-0.99"}});
}

TEST_CASE("lesson 1: one pass of the model is as many predictions as the text has tokens") {
  const nlohmann::json& lesson = lesson_json("1");
  CHECK(value(lesson, "once.tasks") == 19);
  CHECK(value(lesson, "once.difference") < 1e-4);
  CHECK(value(lesson, "task.tasks") == 512000);
  CHECK(value(lesson, "task.loss") > value(lesson, "task.min_over_rows"));
  CHECK(value(lesson, "task.loss") < 1.5 * value(lesson, "task.min_over_rows"));
}

TEST_CASE("lesson 1: errors compound when the model reads its own words") {
  const nlohmann::json& lesson = lesson_json("1");
  CHECK(value(lesson, "forced.hits") > value(lesson, "free.same"));
  const double error = value(lesson, "compound.error");
  CHECK(error > 0.001);
  CHECK(error < 0.1);
  double product = 1, free = 1;
  for (const char* n : {"1", "10", "20", "30", "40", "50", "63"}) {
    INFO(n);
    CHECK(value(lesson, std::string("compound.product.") + n) <= product);
    CHECK(value(lesson, std::string("compound.free.") + n) <= free);
    product = value(lesson, std::string("compound.product.") + n);
    free = value(lesson, std::string("compound.free.") + n);
  }
  CHECK(free < 1 - 5 * error);  // a whole text is right less often than any of its words
  CHECK(value(lesson, "slip.wrong.next") > value(lesson, "slip.true.next") + 1);
  CHECK(value(lesson, "slip.wrong.mean") > value(lesson, "slip.true.mean"));
  CHECK(value(lesson, "slip.cost") ==
        approx(40 * (value(lesson, "slip.wrong.mean") - value(lesson, "slip.true.mean"))));
}

TEST_CASE("lesson 1: without the shift, the loss is below the minimum over rows and the model copies") {
  CHECK(lesson_json("1")["charts"]["task.chart"]["series"].size() == 1);
  const nlohmann::json& broken = lesson_json("1", "no-shift");
  CHECK(broken["charts"]["task.chart"]["series"].size() == 2);
  CHECK(value(broken, "broken.own_loss") < value(broken, "task.min_over_rows") / 2);
  CHECK(value(broken, "broken.loss") > value(broken, "task.loss") + 2);
  CHECK_THAT(lesson_run("1", "no-shift").text, contains(" a a a a"));
}

}  // namespace
}  // namespace inkling
