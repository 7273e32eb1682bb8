#include "apps/eval/choice_eval.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"

namespace inkling {

namespace {

// One ending with as much of its context as fits: the tokens, and how many of them are the ending.
struct Row {
  std::vector<std::int32_t> tokens;
  std::int64_t ending = 0;
};

Row make_row(const Question& question, std::size_t index, std::size_t number, std::int64_t T,
             LongContext mode) {
  const std::vector<std::int32_t>& ending = question.endings[index];
  const std::int64_t inputs = std::ssize(question.context) + std::ssize(ending) - 1;
  if (std::ssize(ending) > T || (inputs > T && mode == LongContext::fail)) {
    fail("question ", number, ": the context and ending ", index, " have ", inputs + 1, " tokens (",
         ending.size(), " in the ending), expected at most ", T + 1,
         std::ssize(ending) > T ? "" : "; --cut-context leaves out the oldest tokens");
  }
  const auto kept = std::min(std::ssize(question.context), T + 1 - std::ssize(ending));
  Row row{{question.context.end() - kept, question.context.end()}, std::ssize(ending)};
  row.tokens.insert(row.tokens.end(), ending.begin(), ending.end());
  return row;
}

// Returns the sum of the losses of each row's ending. Shorter rows are filled up; because of the causal mask,
// this changes nothing.
std::vector<double> sums_of_losses(GPT2& model, std::span<const Row> rows) {
  std::int64_t T = 0;
  for (const Row& row : rows) T = std::max(T, std::ssize(row.tokens) - 1);
  const Shape shape{std::ssize(rows), T};
  const auto places = static_cast<std::size_t>(shape.numel());
  std::vector<std::int32_t> inputs(places, 0), targets(places, -1);
  for (std::size_t b = 0; b < rows.size(); ++b) {
    const std::vector<std::int32_t>& tokens = rows[b].tokens;
    const std::int64_t n = std::ssize(tokens) - 1, at = static_cast<std::int64_t>(b) * T;
    std::copy_n(tokens.begin(), n, inputs.begin() + at);
    std::copy_n(tokens.end() - rows[b].ending, rows[b].ending, targets.begin() + at + n - rows[b].ending);
  }
  std::vector<float> losses(places);
  Tape tape(Recording::off);
  model.token_losses(tape, Tensor(inputs.data(), shape), Tensor(targets.data(), shape), losses.data());
  std::vector<double> sums;
  for (std::size_t b = 0; b < rows.size(); ++b) {
    double sum = 0;  // losses are 0 where the target is -1
    for (std::int64_t t = 0; t < T; ++t)
      sum += static_cast<double>(losses[b * static_cast<std::size_t>(T) + static_cast<std::size_t>(t)]);
    if (!std::isfinite(sum))
      fail("eval: the loss of an ending is not a finite number: the model has weights that are too large");
    sums.push_back(sum);
  }
  return sums;
}

// Adds a question to the result, from the sums of its endings' losses.
void count(const Question& question, std::span<const double> sums, ChoiceResult& result) {
  std::size_t best_mean = 0, best_sum = 0;
  const auto mean = [&](std::size_t i) { return sums[i] / static_cast<double>(question.endings[i].size()); };
  for (std::size_t i = 0; i < sums.size(); ++i) {
    if (mean(i) < mean(best_mean)) best_mean = i;
    if (sums[i] < sums[best_sum]) best_sum = i;
    result.tokens += std::ssize(question.endings[i]);
  }
  ++result.questions;
  result.right_by_mean += best_mean == question.label;
  result.right_by_sum += best_sum == question.label;
}

}  // namespace

ChoiceResult evaluate_choices(GPT2& model, std::span<const Question> questions, std::int64_t B,
                              std::int64_t T, LongContext long_context,
                              const std::function<void(const ChoiceResult&)>& done) {
  ChoiceResult result;
  std::vector<Row> rows;
  std::vector<double> sums;
  std::size_t counted = 0, begin = 0;  // begin: the index in `sums` of the next question's first ending
  const auto flush = [&] {
    const std::vector<double> more = sums_of_losses(model, rows);
    sums.insert(sums.end(), more.begin(), more.end());
    rows.clear();
    while (counted < questions.size() && begin + questions[counted].endings.size() <= sums.size()) {
      const std::size_t endings = questions[counted].endings.size();
      count(questions[counted++], std::span(sums).subspan(begin, endings), result);
      begin += endings;
    }
    sums.erase(sums.begin(), sums.begin() + static_cast<std::ptrdiff_t>(std::exchange(begin, 0)));
    done(result);
  };
  for (std::size_t number = 0; number < questions.size(); ++number) {
    const Question& question = questions[number];
    bool cut = false;
    for (std::size_t i = 0; i < question.endings.size(); ++i) {
      rows.push_back(make_row(question, i, number, T, long_context));
      cut = cut || rows.back().tokens.size() < question.context.size() + question.endings[i].size();
      if (std::ssize(rows) == B) flush();
    }
    result.cut_contexts += cut;
  }
  if (!rows.empty()) flush();
  return result;
}

}  // namespace inkling
