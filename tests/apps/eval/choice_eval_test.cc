// inkling eval --choices: the answers come from the losses of the endings, whatever the batch size.
#include "apps/eval/choice_eval.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "nn/checkpoint.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

const std::string kModel = "tests/goldens/small.bin";  // V 131, 24 positions

// Questions with endings of 1 to 6 tokens; `most` tokens of context.
std::vector<Question> random_questions(std::size_t count, std::uint64_t most) {
  Rng rng(5);
  const auto tokens = [&](std::uint64_t n) {
    std::vector<std::int32_t> ids;
    for (std::uint64_t i = 0; i < n; ++i) ids.push_back(static_cast<std::int32_t>(rng.below(130)));
    return ids;
  };
  std::vector<Question> questions(count);
  for (Question& question : questions) {
    question.context = tokens(1 + rng.below(most));
    for (std::uint64_t endings = 2 + rng.below(4); endings > 0; --endings)
      question.endings.push_back(tokens(1 + rng.below(6)));
    question.label = rng.below(question.endings.size());
  }
  return questions;
}

// The losses of an ending's tokens, from the model's loss of the whole row.
std::vector<double> losses_of(GPT2& model, const Question& question, std::size_t ending, std::size_t cut) {
  std::vector<std::int32_t> row(question.context.begin() + static_cast<std::ptrdiff_t>(cut),
                                question.context.end());
  const std::size_t context = row.size();
  row.insert(row.end(), question.endings[ending].begin(), question.endings[ending].end());
  const std::int64_t T = std::ssize(row) - 1;
  std::vector<std::int32_t> targets(row.begin() + 1, row.end());
  std::vector<float> losses(targets.size());
  Tape tape(Recording::off);
  model.token_losses(tape, Tensor(row.data(), {1, T}), Tensor(targets.data(), {1, T}), losses.data());
  return {losses.begin() + static_cast<std::ptrdiff_t>(context - 1), losses.end()};
}

ChoiceResult evaluate(GPT2& model, const std::vector<Question>& questions, std::int64_t B,
                      LongContext mode = LongContext::fail) {
  return evaluate_choices(model, questions, B, model.config().max_seq_len, mode, [](const ChoiceResult&) {});
}

TEST_CASE("choices eval: both answers are the lowest mean and the lowest sum, for every batch size") {
  GPT2 model = load_model(kModel);
  const std::vector<Question> questions = random_questions(60, 18);
  std::int64_t by_mean = 0, by_sum = 0, tokens = 0;
  for (const Question& question : questions) {
    std::vector<double> means, sums;
    for (std::size_t i = 0; i < question.endings.size(); ++i) {
      const std::vector<double> losses = losses_of(model, question, i, 0);
      sums.push_back(std::accumulate(losses.begin(), losses.end(), 0.0));
      means.push_back(sums.back() / static_cast<double>(losses.size()));
      tokens += std::ssize(losses);
    }
    const auto lowest = [](const std::vector<double>& all) {
      return static_cast<std::size_t>(std::min_element(all.begin(), all.end()) - all.begin());
    };
    by_mean += lowest(means) == question.label;
    by_sum += lowest(sums) == question.label;
  }
  CHECK(by_mean != by_sum);
  for (const std::int64_t B : {1, 2, 3, 7, 64, 1000}) {
    INFO("B " << B);
    const ChoiceResult result = evaluate(model, questions, B);
    CHECK(result.questions == 60);
    CHECK(result.right_by_mean == by_mean);
    CHECK(result.right_by_sum == by_sum);
    CHECK(result.tokens == tokens);
    CHECK(result.cut_contexts == 0);
    CHECK(result.accuracy_by_mean() == approx(static_cast<double>(by_mean) / 60));
  }
}

TEST_CASE("choices eval: of equal endings the lower index wins") {
  GPT2 model({.max_seq_len = 8, .vocab_size = 9, .layers = 1, .heads = 1, .channels = 8});
  std::fill(model.parameters().values().begin(), model.parameters().values().end(), 0.0f);
  const std::vector<std::vector<std::int32_t>> endings = {{1, 2}, {3, 4}, {5}, {6, 7, 8}};
  for (std::size_t label = 0; label < 4; ++label) {
    const ChoiceResult result = evaluate(model, {{{1}, endings, label}}, 3);
    CHECK(result.right_by_mean == (label == 0));  // all means are log 9
    CHECK(result.right_by_sum == (label == 2));   // the shortest
  }
}

TEST_CASE("choices eval: a context that is too long is an error, or is cut at its beginning and counted") {
  GPT2 model = load_model(kModel);
  Question question{{}, {{5, 6, 7}, {8}}, 0};
  for (std::int32_t i = 0; i < 22; ++i) question.context.push_back(i);
  CHECK(evaluate(model, {question}, 4).cut_contexts == 0);  // 22 + 3 tokens are 24 inputs
  for (std::int32_t i = 22; i < 30; ++i) question.context.push_back(i);
  CHECK_THROWS_WITH(
      evaluate(model, {question}, 4),
      contains("question 0: the context and ending 0 have 33 tokens (3 in the ending), expected at "
               "most 25; --cut-context"));
  const ChoiceResult cut = evaluate(model, {question}, 4, LongContext::cut);
  CHECK(cut.cut_contexts == 1);
  const std::vector<double> first = losses_of(model, question, 0, 8),
                            second = losses_of(model, question, 1, 6);
  const double mean = (first[0] + first[1] + first[2]) / 3;
  CHECK(cut.right_by_mean == (mean <= second[0]));
  question.label = 1;
  CHECK(evaluate(model, {question}, 4, LongContext::cut).right_by_mean == (second[0] < mean));
  question.endings[1] = std::vector<std::int32_t>(25, 9);  // longer than the context without any context
  CHECK_THROWS_WITH(evaluate(model, {question}, 4, LongContext::cut), contains("(25 in the ending)"));
}

TEST_CASE("choices eval: the command prints both accuracies, and refuses wrong files") {
  const TemporaryDirectory temporary;
  const std::string path = temporary / "choices.bin";
  const std::vector<Question> questions = random_questions(30, 18);
  write_choices(path, questions);
  GPT2 model = load_model(kModel);
  const ChoiceResult want = evaluate(model, questions, 4);
  const auto words = [&](const std::vector<std::string>& flags) {
    return std::vector<std::string>{"eval", "--model", kModel, "--choices", path} + flags;
  };
  const Outcome one = run(words({"--json", "--batch-size", "1"}));
  REQUIRE(one.status == 0);
  CHECK(run(words({"--json", "--batch-size", "9", "--threads", "1"})).out == one.out);
  const json result = json::parse(one.out);
  CHECK(result.at("questions") == 30);
  CHECK(result.at("right_by_mean") == want.right_by_mean);
  CHECK(result.at("accuracy_by_mean").get<double>() == approx(want.accuracy_by_mean()));
  CHECK(result.at("accuracy_by_sum").get<double>() == approx(want.accuracy_by_sum()));
  CHECK(result.at("cut_contexts") == 0);
  CHECK(result.at("context") == 24);
  const Outcome text = run(words({}));
  CHECK_THAT(text.out, contains(str("accuracy        ")) &&
                           contains(str(" (", want.right_by_mean, " of 30), by")) && !contains("cut"));
  CHECK(run(words({"--seq-len", "8"})).status == 1);
  const Outcome cut = run(words({"--seq-len", "8", "--cut-context"}));
  CHECK_THAT(cut.out, contains("the oldest tokens were left out, to fit into 8"));
  expect(words({"--stride", "2"}), 2, {"--stride", "--choices"});
  write_choices(path, std::vector<Question>{{{1}, {{131}}, 0}});
  expect(words({}), 1, {"question 0 has the token id 131, expected 0 .. V-1=130"});
  expect({"eval", "--model", kModel}, 2, {"there is nothing to evaluate: give --data, --choices or --chat"});
}

}  // namespace
}  // namespace inkling
