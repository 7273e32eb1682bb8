// Lesson 2: the numbers of the documents, to the digits that they print.
#include "tests/apps/lessons/lesson.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("lesson 2: softmax of the documents' logits, step by step") {
  check_printed(lesson_json("2"), {{"softmax.exp.we", "8.17"},
                                   {"softmax.exp.the", "24.53"},
                                   {"softmax.exp.hello", "16.44"},
                                   {"softmax.exp.is", "4.48"},
                                   {"softmax.exp.love", "0.61"},
                                   {"softmax.exp.deep", "0.30"},
                                   {"softmax.exp.learning", "0.14"},
                                   {"softmax.exp.EOS", "0.00"},
                                   {"softmax.sum", "54.67"},
                                   {"softmax.p.we", "0.1494"},
                                   {"softmax.p.the", "0.4488"},
                                   {"softmax.p.hello", "0.3008"},
                                   {"softmax.p.is", "0.0820"},
                                   {"softmax.p.love", "0.0111"},
                                   {"softmax.p.deep", "0.0055"},
                                   {"softmax.p.learning", "0.0025"},
                                   {"softmax.p.EOS", "0.0000"},
                                   {"softmax.p.sum", "1.000000"}});
}

TEST_CASE("lesson 2: the four predictions of a sentence, their sum, mean, perplexity and bits") {
  // The document prints 0.473 for the third loss. It rounded 0.47248 twice.
  check_printed(lesson_json("2"), {{"sequence.1.p", "0.149"},
                                   {"sequence.2.p", "0.571"},
                                   {"sequence.3.p", "0.623"},
                                   {"sequence.4.p", "0.994"},
                                   {"sequence.1.loss", "1.901"},
                                   {"sequence.2.loss", "0.561"},
                                   {"sequence.3.loss5", "0.47248"},
                                   {"sequence.3.loss4", "0.4725"},
                                   {"sequence.4.loss", "0.006"},
                                   {"sequence.1.loss4", "1.9013"},
                                   {"sequence.2.loss4", "0.5610"},
                                   {"sequence.4.loss4", "0.0065"},
                                   {"sequence.total", "2.941"},
                                   {"sequence.mean", "0.7353"},
                                   {"sequence.perplexity", "2.086"},
                                   {"sequence.bits", "1.061"},
                                   {"sequence.probability", "0.0528"},
                                   {"sequence.rounded", "1.9038"}});
}

TEST_CASE("lesson 2: the losses of single predictions") {
  check_printed(lesson_json("2"), {{"candidate.mat.loss", "0.25"},
                                   {"candidate.sure.loss", "0.01"},
                                   {"candidate.wrong.loss", "4.61"},
                                   {"toy.cat.loss", "0.5108"},
                                   {"samples.1.loss", "0.3567"},
                                   {"samples.2.loss", "2.3026"},
                                   {"samples.1.logit.Cat", "-1.6094"},
                                   {"samples.1.logit.Dog", "-0.3567"},
                                   {"samples.1.logit.Bird", "-2.3026"},
                                   {"samples.2.logit.Dog", "-0.2231"},
                                   {"logarithm.090.loss", "0.11"},
                                   {"logarithm.050.loss", "0.69"},
                                   {"logarithm.010.loss", "2.30"},
                                   {"logarithm.001.loss", "4.61"},
                                   {"logarithm.001.log", "-4.61"}});
}

TEST_CASE("lesson 2: the safe softmax is right where the naive one is not a number") {
  const nlohmann::json& lesson = lesson_json("2");
  check_printed(lesson, {{"safe.naive_exp.0", "inf"},
                         {"safe.naive_p.0", "nan"},
                         {"safe.p.0", "0.0900"},
                         {"safe.p.1", "0.2447"},
                         {"safe.p.2", "0.6652"},
                         {"safe.limit", "88.72"}});
  CHECK(lesson["numbers"]["safe.naive_exp.2"] == "Infinity");
  CHECK(lesson["numbers"]["safe.naive_p.2"] == "NaN");
}

TEST_CASE("lesson 2: a product of probabilities becomes 0, the sum of logarithms does not") {
  check_printed(lesson_json("2"), {{"underflow.zero_at", "55"},
                                   {"underflow.54.product", "2.80e-45"},
                                   {"underflow.55.product", "0"},
                                   {"underflow.55.sum", "104.6"}});
}

TEST_CASE(
    "lesson 2: on the ruler of losses, each mark is lower than the one before, and the minimum is lowest") {
  const nlohmann::json& lesson = lesson_json("2");
  double before = value(lesson, "ruler.uniform");
  CHECK(before == approx(std::log(value(lesson, "ruler.vocabulary"))));
  for (const char* name : {"unigram", "bigram", "model", "min_over_rows"}) {
    INFO(name);
    CHECK(value(lesson, std::string("ruler.") + name) < before - 0.2);
    before = value(lesson, std::string("ruler.") + name);
  }
  CHECK(value(lesson, "ruler.model.perplexity") == approx(std::exp(value(lesson, "ruler.model"))));
  CHECK(value(lesson, "ruler.model.bits") == approx(value(lesson, "ruler.model") / std::log(2.0)));
}

TEST_CASE(
    "lesson 2: without the logarithm or the subtraction of the largest logit, the wrong curve is beside the "
    "right one") {
  const nlohmann::json& right = lesson_json("2");
  CHECK(right["charts"]["descent.chart"]["series"].size() == 1);
  CHECK(right["charts"]["safe.chart"]["series"].size() == 1);
  const nlohmann::json& linear = lesson_json("2", "no-logarithm");
  CHECK(linear["charts"]["descent.chart"]["series"].size() == 2);
  CHECK(value(linear, "descent.end") < 0.1);
  CHECK(value(linear, "descent.broken.end") > 5);
  const nlohmann::json& naive = lesson_json("2", "no-max-subtraction");
  const nlohmann::json& series = naive["charts"]["safe.chart"]["series"];
  REQUIRE(series.size() == 2);
  CHECK(series[1]["y"].back() == "NaN");
  CHECK(series[0]["y"].back().get<double>() == approx(0.4488).epsilon(1e-3));
}

}  // namespace
}  // namespace inkling
