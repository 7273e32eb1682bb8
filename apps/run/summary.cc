#include "apps/run/summary.h"

#include <algorithm>

#include "apps/run/format.h"
#include "apps/run/loss_chart.h"
#include "apps/run/perplexity.h"
#include "apps/run/terminal_text.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

constexpr std::int64_t kStoryTokens = 200;

// The text with four spaces before each line. Empty lines at its beginning are left out.
std::string indented(const std::string& text) {
  std::string lines;
  for (const char c : text.substr(std::min(text.find_first_not_of('\n'), text.size()))) {
    if (lines.empty() || lines.back() == '\n') lines += "    ";
    lines += c;
  }
  return lines;
}

}  // namespace

void print_plan(std::ostream& out, const TrainSettings& s, std::int64_t first_step) {
  const std::int64_t parameters = s.model.parameter_count();
  out << "inkling: " << format_count(parameters) << " parameters (" << s.model.layers << " layers, "
      << s.model.heads << " heads, " << s.model.channels << " channels, a vocabulary of "
      << format_count(s.model.vocab_size) << " tokens), " << threads() << " threads, " << name(kernels().isa)
      << ", " << s.precision << (s.precision_reason.empty() ? "" : str(" (", s.precision_reason, ")")) << "\n"
      << "data: " << (s.stories() ? std::string("stories") : s.data) << "; a step is "
      << format_count(s.tokens_per_step()) << " tokens (" << s.batch_size << " x " << s.seq_len;
  if (s.grad_accum > 1) out << " x " << s.grad_accum;
  out << "), " << format_count(s.steps) << " steps";
  if (first_step > 0) out << ", continuing after step " << first_step;
  out << std::endl;
}

void print_summary(std::ostream& out, const Terminal& terminal, const TrainSettings& s, Trainer& trainer,
                   const std::string& directory) {
  const auto& losses = trainer.losses();
  const auto& validations = trainer.validations();
  const std::optional<double> min_over_rows =
      validations.empty() ? std::nullopt : validations.back().min_over_rows;
  out << "\nTraining loss, nats per token\n" << loss_chart(losses, min_over_rows, terminal) << "\n";

  out << "What it learned\n";
  if (!validations.empty()) {
    const Validation& first = validations.front();
    const Validation& last = validations.back();
    out << "  On text that the model never saw, the loss went from " << format_fixed(first.loss, 3) << " to "
        << format_fixed(last.loss, 3) << " nats per token.\n"
        << "  The perplexity is the number of equally likely tokens that would give the same loss. It went "
           "from "
        << format_fixed(perplexity(first.loss), 1) << " to " << format_fixed(perplexity(last.loss), 2)
        << ".\n";
    if (min_over_rows) {
      out << "  The grammar knows each token's probability, so the lowest possible loss is known. On these "
             "rows of "
          << s.seq_len << "\n  tokens it is " << format_fixed(*min_over_rows, 4) << ", over whole stories "
          << format_fixed(*last.min_over_stories, 4) << ". The model's loss is "
          << format_fixed(last.percent_above_min_over_rows(), 1) << "% above the minimum over rows.\n";
    }
  } else if (!losses.empty()) {
    out << "  The training loss went from " << format_fixed(losses.front().second, 3) << " to "
        << format_fixed(losses.back().second, 3) << ".\n";
  }
  out << "  The model writes:\n\n" << indented(terminal_text(terminal, trainer.sample(kStoryTokens))) << "\n\n";

  out << "Try next\n"
      << "  build/inkling generate --model " << directory << "/model.bin --temperature 0.7 --seed 1\n"
      << "  build/inkling inspect " << directory << "/model.bin\n";
  if (s.save_every > 0)  // without checkpoints the run cannot be continued
    out << "  build/inkling train --out " << directory << " --resume --steps " << 2 * s.steps << "\n";
  if (s.stories()) out << "  make train DATA=my.txt      # train on your own text\n";
}

}  // namespace inkling
