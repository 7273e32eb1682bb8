#include "apps/report/verdict.h"

#include <algorithm>
#include <cmath>

#include "apps/report/curves.h"
#include "apps/run/format.h"
#include "core/error.h"

namespace inkling::report {

namespace {

constexpr std::size_t kFewSteps = 20;
constexpr std::size_t kManySpikes = 3;
constexpr double kNearMinimum = 1.03;

std::string loss(double value) {
  return format_fixed(value, 3);
}

// A learning rate with two digits, for example 0.0015.
std::string rate(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.2g", value);
  return text;
}

std::vector<std::string> calmer(const Evidence& e) {
  std::vector<std::string> advice = {
      str("A lower learning rate: --lr ", rate(e.lr / 3), " instead of ", rate(e.lr), "."),
      "A longer warm-up: --warmup. The first steps change the weights most."};
  if (e.grad_clip == 0 || e.grad_clip > 1)
    advice.push_back("Shorten long gradients: --grad-clip 1.");
  else
    advice.push_back(
        "More sequences in a step (--batch-size or --grad-accum): the gradient becomes less noisy.");
  return advice;
}

std::optional<Verdict> diverged(const Evidence& e) {
  if (!e.diverged.empty()) {
    return Verdict{Outlook::diverged, "The run diverged.", "Training stopped: " + e.diverged + ".",
                   calmer(e)};
  }
  if (e.losses.size() < kFewSteps) return std::nullopt;
  const std::vector<double> smooth = smoothed(e.losses, smoothing_window(e.losses.size()));
  const auto best = std::min_element(smooth.begin(), smooth.end());
  const double rise = smooth.back() - *best, fall = std::max(smooth.front() - *best, 0.0);
  if (rise < 0.3 || rise < 0.5 * fall) return std::nullopt;
  const std::int64_t since = e.steps[static_cast<std::size_t>(best - smooth.begin())];
  return Verdict{
      Outlook::diverged, str("The run has diverged since step ", format_count(since), "."),
      str("The smoothed training loss was ", loss(*best), " and has gone up to ", loss(smooth.back()), "."),
      calmer(e)};
}

std::optional<Verdict> overfitting(const Evidence& e) {
  const auto& v = e.validation_losses;
  if (v.size() < 3 || e.losses.empty()) return std::nullopt;
  const auto best = static_cast<std::size_t>(std::min_element(v.begin(), v.end()) - v.begin());
  const std::size_t later = v.size() - 1 - best;
  const bool is_higher = (later >= 2 && v.back() > 1.01 * v[best]) || v.back() > 1.05 * v[best];
  if (!is_higher) return std::nullopt;
  const std::int64_t since = e.validation_steps[best];
  const std::vector<double> smooth = smoothed(e.losses, smoothing_window(e.losses.size()));
  const auto then = std::lower_bound(e.steps.begin(), e.steps.end(), since) - e.steps.begin();
  const double before = smooth[std::min(static_cast<std::size_t>(then), smooth.size() - 1)];
  if (smooth.back() >= before) return std::nullopt;
  return Verdict{Outlook::overfitting,
                 str("Overfitting since step ", format_count(since), "."),
                 str("Since then the validation loss has gone up from ", loss(v[best]), " to ",
                     loss(v.back()), ", while the training loss has gone down from ", loss(before), " to ",
                     loss(smooth.back()), ": the model learns its training text by heart."),
                 {"More text: this helps most.", str("Stop earlier: --steps ", since, "."),
                  "A smaller model: fewer --layers or --channels.", "A higher --weight-decay."}};
}

std::optional<Verdict> spiking(const Evidence& e) {
  const std::vector<std::size_t> all = spikes(e.losses);
  if (all.size() < kManySpikes) return std::nullopt;
  return Verdict{Outlook::spiking, "The loss is spiking.",
                 str("It jumped up ", all.size(), " times, the last time at step ",
                     format_count(e.steps[all.back()]), ", where it was ", loss(e.losses[all.back()]), "."),
                 calmer(e)};
}

std::optional<Verdict> near_minimum(const Evidence& e) {
  if (!e.min_over_rows || e.validation_losses.empty()) return std::nullopt;
  const double last = e.validation_losses.back(), minimum = *e.min_over_rows;
  if (last > kNearMinimum * minimum) return std::nullopt;
  const std::string over_stories =
      e.min_over_stories ? str(" (over whole stories ", loss(*e.min_over_stories), ")") : "";
  return Verdict{Outlook::near_minimum,
                 "Close to the theoretical minimum.",
                 str("The validation loss is ", loss(last), ", only ",
                     format_fixed(100 * (last / minimum - 1), 1), "% above the minimum over rows, ",
                     loss(minimum), over_stories, ". No model can have a lower loss on these rows."),
                 {"There is little left to learn here: try harder text."}};
}

struct Mean {
  double value, variance_of_mean;
};

Mean mean(const std::vector<double>& y, std::size_t begin, std::size_t end) {
  const auto n = static_cast<double>(end - begin);
  double sum = 0, squares = 0;
  for (std::size_t i = begin; i < end; ++i) sum += y[i];
  for (std::size_t i = begin; i < end; ++i) squares += (y[i] - sum / n) * (y[i] - sum / n);
  return {sum / n, squares / n / n};
}

Verdict falling_or_flat(const Evidence& e) {
  const std::size_t n = e.losses.size();
  const Mean before = mean(e.losses, n * 3 / 5, n * 4 / 5), last = mean(e.losses, n * 4 / 5, n);
  const double fall = before.value - last.value;
  const double error = std::sqrt(before.variance_of_mean + last.variance_of_mean);
  const std::string numbers = str("The mean training loss of the last fifth of the steps is ",
                                  loss(last.value), ", of the fifth before ", loss(before.value), ".");
  if (fall > 2 * error && fall > 0.005 * last.value) {
    return {Outlook::still_falling,
            "The loss is still falling.",
            numbers,
            {str("Train longer: --steps ", 2 * std::max<std::int64_t>(e.planned_steps, e.steps.back()),
                 " (with --resume the run continues)."),
             "If it falls slowly, a higher --lr can help."}};
  }
  return {Outlook::flat,
          "The loss has stopped falling.",
          numbers,
          {"A larger model: more --layers or --channels.",
           str("Another learning rate: --lr ", rate(3 * e.lr), " or ", rate(e.lr / 3), "."),
           "More text, or longer sequences (--seq-len)."}};
}

}  // namespace

Verdict judge(const Evidence& e) {
  if (auto verdict = diverged(e)) return *verdict;
  if (e.losses.size() < kFewSteps) {
    return {Outlook::too_early,
            "It is too early to say.",
            str("There are losses of ", e.losses.size(), " steps, and a verdict needs ", kFewSteps, "."),
            {}};
  }
  for (const auto rule : {overfitting, spiking, near_minimum}) {
    if (auto verdict = rule(e)) return *verdict;
  }
  return falling_or_flat(e);
}

}  // namespace inkling::report
