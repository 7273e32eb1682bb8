// Multiple choice: which ending of a text does the model find likeliest?
//
// For each ending, the model reads the context and the ending, and the losses -log p of the ending's tokens
// are taken; the context's own tokens do not count. The model's answer is the ending with the lowest mean
// loss per token, as in llm.c. A second answer is the ending with the lowest sum, which is the likeliest
// text, but prefers short endings. Of two equal endings the lower index wins.
//
// The result does not depend on the batch size: a row of a batch has the same losses in every batch.
#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "apps/text/choices.h"
#include "nn/gpt2.h"

namespace inkling {

// What happens to a question that is longer than the model's context.
enum class LongContext { fail, cut };  // cut: the oldest tokens of the question's context are left out

struct ChoiceResult {
  std::int64_t questions = 0;
  std::int64_t right_by_mean = 0, right_by_sum = 0;
  std::int64_t cut_contexts = 0;  // questions whose context was cut
  std::int64_t tokens = 0;        // tokens of endings

  double accuracy_by_mean() const {
    return static_cast<double>(right_by_mean) / static_cast<double>(questions);
  }
  double accuracy_by_sum() const {
    return static_cast<double>(right_by_sum) / static_cast<double>(questions);
  }
};

// A row has at most T tokens, and a batch at most B rows. `done` is called after each batch with the result
// so far. Error if a row is longer and may not be cut, or if a loss is not a finite number.
ChoiceResult evaluate_choices(GPT2& model, std::span<const Question> questions, std::int64_t B,
                              std::int64_t T, LongContext long_context,
                              const std::function<void(const ChoiceResult&)>& done);

}  // namespace inkling
