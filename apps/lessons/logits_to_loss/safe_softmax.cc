// Lesson 2, the softmax that overflows beside the one that subtracts the largest logit.
#include <algorithm>
#include <cmath>
#include <string>

#include "apps/lessons/logits_to_loss/logits_to_loss.h"
#include "core/portable_math.h"
#include "core/tape.h"
#include "ops/softmax.h"

namespace inkling {

using namespace page;

namespace {

// Softmax as its formula says, in f32.
struct NaiveSoftmax {
  std::vector<float> e, p;
};
NaiveSoftmax naive_softmax(const std::vector<float>& z) {
  NaiveSoftmax result;
  float sum = 0;
  for (const float logit : z) sum += result.e.emplace_back(portable::exp(logit));
  for (const float e : result.e) result.p.push_back(e / sum);
  return result;
}

std::vector<float> minus_largest(const std::vector<float>& z) {
  const float m = *std::max_element(z.begin(), z.end());
  std::vector<float> result;
  for (const float logit : z) result.push_back(logit - m);
  return result;
}

std::vector<float> exponentials(const std::vector<float>& z) {
  std::vector<float> result;
  for (const float logit : z) result.push_back(portable::exp(logit));
  return result;
}

void numbers(Page& page, Table& naive_table, Table& safe_table) {
  std::vector<float> z = {1000, 1001, 1002};
  Tape tape(Recording::off);
  const auto naive = COMPUTED(naive_softmax(z));
  const auto differences = COMPUTED(minus_largest(z));
  const auto e = COMPUTED(exponentials(differences.value));
  const auto p = COMPUTED(softmax(tape, Tensor(z.data(), {1, 3})));
  for (std::int64_t i = 0; i < 3; ++i) {
    const std::string n = std::to_string(i);
    const auto at = static_cast<std::size_t>(i);
    const Ref logit = page.given("safe.logit." + n, static_cast<double>(z[at]),
                                 {.digits = 0, .formula = "a logit", .label = "z"});
    const Ref big = page.number("safe.naive_exp." + n, naive.of(static_cast<double>(naive.value.e[at])),
                                {.digits = 2,
                                 .formula = "$e^z$ in f32",
                                 .inputs = {logit},
                                 .label = "e^z",
                                 .print = Print::scientific});
    const Ref wrong = page.number("safe.naive_p." + n, naive.of(static_cast<double>(naive.value.p[at])),
                                  {.formula = "$e^z / sum$ in f32", .inputs = {big}, .label = "naive P"});
    const Ref d = page.number("safe.difference." + n, differences.at(i),
                              {.digits = 0,
                               .formula = "$z - m$, where $m$ is the largest logit",
                               .inputs = {logit},
                               .label = "z - m"});
    const Ref small = page.number("safe.exp." + n, e.at(i),
                                  {.formula = "$e^{z - m}$", .inputs = {d}, .label = "e^(z - m)"});
    const Ref right = page.number(
        "safe.p." + n, p.at(i),
        {.formula = "$e^{z - m} / sum$", .inputs = {small}, .label = "P", .engine = kSoftmaxEngine});
    naive_table.rows.push_back({logit, big, wrong});
    safe_table.rows.push_back({logit, d, small, right});
  }
}

// P(the) of the first prediction, when `shift` is added to every logit. It should not change.
double shifted(double shift, bool naive) {
  std::vector<float> z = {2.1f, -0.5f, -1.2f, -2.0f, 3.2f, 2.8f, 1.5f, -10.0f};
  for (float& logit : z) logit += static_cast<float>(shift);
  if (naive) return static_cast<double>(naive_softmax(z).p[4]);
  Tape tape(Recording::off);
  return static_cast<double>(softmax(tape, Tensor(z.data(), {1, 8})).f32()[4]);
}

void shift_chart(Page& page, bool broken) {
  Series safe{.name = "safe softmax", .x = {}, .y = {}, .look = Look::main},
      naive{.name = "naive softmax", .x = {}, .y = {}, .look = Look::wrong};
  for (int shift = -120; shift <= 120; ++shift) {
    safe.x.push_back(shift);
    naive.x.push_back(shift);
    safe.y.push_back(shifted(shift, false));
    naive.y.push_back(shifted(shift, true));
  }
  page.number("safe.limit", COMPUTED(portable::log(static_cast<double>(std::numeric_limits<float>::max()))),
              {.digits = 2,
               .formula = "the logarithm of the largest f32 number",
               .label = "largest z with a finite e^z"});
  page.paragraph(
      "In f32, $e^z$ is infinite above $z$ = {safe.limit}. Subtracting the largest logit divides numerator "
      "and denominator by the same number, so the result is the same, and the largest exponential is $e^0$ = "
      "1." +
      std::string(broken ? "" : " `--break=no-max-subtraction` draws the naive softmax into the chart."));
  LineChart chart{.id = "safe.chart",
                  .title = "P(the), with the same constant added to all eight logits",
                  .x_label = "constant",
                  .y_label = "P(the)",
                  .series = {safe},
                  .y_min = 0.0,
                  .y_max = 1.0};
  if (broken) chart.series.push_back(naive);
  page.add(chart);
}

}  // namespace

void safe_softmax(Page& page, const LessonSettings& settings) {
  page.heading("The safe softmax");
  Table naive{.caption = "As the formula says: infinity divided by infinity is not a number",
              .columns = {"$z$", "$e^z$", "$P$"}};
  Table safe{.caption = "What the engine computes: first subtract the largest logit $m$",
             .columns = {"$z$", "$z - m$", "$e^{z - m}$", "$P$"}};
  numbers(page, naive, safe);
  page.paragraph("With logits around 1000, the formula of softmax cannot be computed as it is written.");
  page.add(naive);
  page.add(safe);
  page.add(Live{.id = "safe.slider",
                .title = "Move all three logits together",
                .model = "shifted",
                .sliders = {{"shift", "added to 0, 1 and 2", -1000, 1000, 1, 1000, 0}},
                .data = {{"logits", {0, 1, 2}}}});
  shift_chart(page, settings.breaks("no-max-subtraction"));
}

}  // namespace inkling
