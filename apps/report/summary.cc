#include "apps/report/summary.h"

#include <errno.h>  // program_invocation_name

#include <algorithm>
#include <sstream>

#include "apps/page/terminal_style.h"
#include "apps/report/shell_line.h"
#include "apps/run/format.h"
#include "apps/run/loss_chart.h"
#include "apps/run/perplexity.h"
#include "apps/run/terminal_text.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling::report {

namespace {

constexpr std::int64_t kStoryTokens = 200;

// The text in lines of at most `columns` columns, with `indent` before each line. Empty lines at its
// beginning are left out.
std::string paragraphs(const std::string& text, int columns, const std::string& indent) {
  std::istringstream lines(text.substr(std::min(text.find_first_not_of('\n'), text.size())));
  std::string all;
  for (std::string line; std::getline(lines, line);)
    all += line.empty() ? "\n" : page::wrapped(indent + line, columns, indent);
  return all;
}

// What the run learned, from its validations or, without them, from its training losses.
std::string learned(const TrainSettings& s, const Trainer& trainer) {
  const auto& losses = trainer.losses();
  if (trainer.validations().empty()) {
    if (losses.empty()) return "";
    return str("The training loss went from ", format_fixed(losses.front().second, 3), " to ",
               format_fixed(losses.back().second, 3), ".\n");
  }
  const Validation& first = trainer.validations().front();
  const Validation& last = trainer.validations().back();
  std::string text = str(
      "On text that the model never saw, the loss went from ", format_fixed(first.loss, 3), " to ",
      format_fixed(last.loss, 3), " nats per token.\n",
      "The perplexity is the number of equally likely tokens that would give the same loss. It went from ",
      format_fixed(perplexity(first.loss), 1), " to ", format_fixed(perplexity(last.loss), 2), ".\n");
  if (!last.min_over_rows) return text;
  return text + str("The grammar knows each token's probability, so the lowest possible loss is known. On "
                    "these rows of ",
                    s.seq_len, " tokens it is ", format_fixed(*last.min_over_rows, 4),
                    ", over whole stories ", format_fixed(*last.min_over_stories, 4),
                    ". The model's loss is ", format_fixed(last.percent_above_min_over_rows(), 1),
                    "% above the minimum over rows.\n");
}

}  // namespace

void print_plan(std::ostream& out, const TrainSettings& s, std::int64_t first_step) {
  const std::int64_t parameters = s.model.parameter_count();
  out << "inkling: " << format_count(parameters) << " parameters ("
      << format_number_of(s.model.layers, "layer") << ", " << format_number_of(s.model.heads, "head") << ", "
      << s.model.channels << " channels, a vocabulary of " << format_count(s.model.vocab_size) << " tokens), "
      << format_number_of(threads(), "thread") << ", " << name(kernels().isa) << ", " << s.precision
      << (s.precision_reason.empty() ? "" : str(" (", s.precision_reason, ")")) << "\n"
      << "data: " << (s.stories() ? std::string("stories") : s.data) << "; a step is "
      << format_count(s.tokens_per_step()) << " tokens (" << s.batch_size << " x " << s.seq_len;
  if (s.grad_accum > 1) out << " x " << s.grad_accum;
  out << "), " << format_number_of(s.steps, "step");
  if (first_step > 0) out << ", continuing after step " << first_step;
  if (s.local_steps > 0) {
    out << "\nlocal steps: " << format_number_of(s.replicas, "replica") << ", each takes "
        << format_number_of(s.local_steps, "step") << " of its own before an outer step; changes are sent in "
        << s.local_steps_dtype;
  }
  out << std::endl;
}

void print_summary(std::ostream& out, const Terminal& terminal, const TrainSettings& s, Trainer& trainer,
                   const std::string& directory) {
  const auto& validations = trainer.validations();
  const std::optional<double> min_over_rows =
      validations.empty() ? std::nullopt : validations.back().min_over_rows;
  out << "\nTraining loss, nats per token\n" << loss_chart(trainer.losses(), min_over_rows, terminal) << "\n";

  const int columns = page::TextStyle(terminal).columns;
  out << "What it learned\n"
      << paragraphs(learned(s, trainer), columns, "  ") << "  The model writes:\n\n"
      << paragraphs(terminal_text(terminal, trainer.sample(kStoryTokens)), columns, "    ") << "\n";

  const std::string model = directory + "/model.bin";
  const auto command = [&](std::vector<std::string> words) {
    words.insert(words.begin(), program_invocation_name);
    out << "  " << shell_line(words) << "\n";
  };
  out << "Try next\n";
  command({"generate", "--model", model, "--temperature", "0.7", "--seed", "1"});
  command({"inspect", model});
  if (s.save_every > 0)  // without checkpoints the run cannot be continued
    command({"train", "--out", directory, "--resume", "--steps", std::to_string(2 * s.steps)});
  if (s.stories()) out << "  make train DATA=my.txt      # train on your own text\n";
}

}  // namespace inkling::report
