// The texts before and after a run: the plan, and the summary of losses that are written by hand.
#include "apps/report/summary.h"

#include <sstream>

#include "apps/page/terminal_style.h"
#include "core/parallel.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

// The summary of a run of three steps, for a terminal of so many columns (0: a file). Its metrics.jsonl is
// replaced by `lines`.
std::string summary_of(const TrainSettings& settings, const std::vector<json>& lines, int columns = 0,
                       const std::string& name = "runs/mine") {
  const TemporaryDirectory temporary;
  train_whole(temporary / "run", settings);
  TinyRun run(temporary / "run", settings);
  std::filesystem::remove(temporary / "run/metrics.jsonl");
  for (const json& line : lines) run.directory.append_metrics(line);
  run.resume();
  std::ostringstream out;
  report::print_summary(out, {.columns = columns, .redraws = false, .utf8 = true}, settings, run.trainer,
                        name);
  return out.str();
}

TrainSettings three_steps(json changes = json::object()) {
  changes.merge_patch({{"steps", 3}, {"save_every", 3}});
  return tiny_settings(changes);
}

TEST_CASE("summary: it has the first and the last validation, and the distance to the minimum over rows") {
  // exp(2.5) = 12.1825, exp(0.589) = 1.8022; 0.589 is 0.0152 or 2.6490% above 0.5738.
  const std::string text = summary_of(
      three_steps(),
      {{{"step", 0}, {"val_loss", 2.5}, {"min_over_rows", 0.57}, {"min_over_stories", 0.51}},
       {{"step", 1}, {"loss", 9.0}},
       {{"step", 2}, {"loss", 5.0}},
       {{"step", 2}, {"val_loss", 1.25}, {"min_over_rows", 0.57}, {"min_over_stories", 0.51}},
       {{"step", 3}, {"loss", 1.0}},
       {{"step", 3}, {"val_loss", 0.589}, {"min_over_rows", 0.5738}, {"min_over_stories", 0.5131}}});
  CHECK_THAT(
      text,
      contains(
          "On text that the model never saw, the loss went from 2.500 to 0.589 nats per token.\n"
          "  The perplexity is the number of equally likely tokens that would give the same loss. It went\n"
          "  from 12.2 to 1.80.\n"));
  CHECK_THAT(
      text,
      contains("On these\n  rows of 16 tokens it is 0.5738, over whole stories 0.5131. The model's loss is 2.6% above "
               "the\n  minimum over rows.\n"));
  CHECK(text.find("The training loss went") == std::string::npos);
  // The chart has the whole curve from the first step, with the minimum below it.
  CHECK_THAT(text, contains("Training loss, nats per token\n    9.00 ┤●"));
  CHECK_THAT(text, contains("step 1 3\n"));
  CHECK_THAT(text, contains("    0.57 ┤") && contains("╌ minimum over rows\n"));
}

TEST_CASE("summary: without validations it has the training loss and does not mention a minimum") {
  const std::string text = summary_of(
      three_steps(),
      {{{"step", 1}, {"loss", 4.125}}, {{"step", 2}, {"loss", 3.0}}, {{"step", 3}, {"loss", 2.25}}});
  CHECK_THAT(text, contains("The training loss went from 4.125 to 2.250."));
  CHECK(text.find("On text that the model never saw") == std::string::npos);
  CHECK(text.find("lowest possible loss") == std::string::npos);
  CHECK(text.find("minimum") == std::string::npos);
}

TEST_CASE("summary: the commands to try next have this run's directory and twice its steps") {
  const std::string text = summary_of(three_steps(), {{{"step", 1}, {"loss", 4.0}}});
  CHECK_THAT(text, contains(" generate --model runs/mine/model.bin"));
  CHECK_THAT(text, contains(" inspect runs/mine/model.bin"));
  CHECK_THAT(text, contains(" train --out runs/mine --resume --steps 6\n"));
  CHECK_THAT(text, contains("The model writes:\n\n    "));
  CHECK(text.find("DATA=") == std::string::npos);  // this run already uses the user's own text
}

TEST_CASE("summary: no line of text is wider than the terminal, and paths are quoted for the shell") {
  const std::vector<json> lines = {
      {{"step", 0}, {"val_loss", 2.5}, {"min_over_rows", 0.57}, {"min_over_stories", 0.51}},
      {{"step", 1}, {"loss", 4.0}}};
  const std::string text = summary_of(three_steps(), lines, 40, "o ut's");
  const std::size_t next = text.find("Try next");
  std::istringstream before(text.substr(0, next));
  for (std::string line; std::getline(before, line);) {
    INFO(line);
    CHECK(page::text_width(line) <= 40);
  }
  CHECK_THAT(text.substr(next), contains(" inspect 'o ut'\\''s/model.bin'\n"));
}

TEST_CASE("plan: two lines have the model, the machine, the data and the size of a step") {
  const RestoreThreads restore;
  set_threads(3);
  TrainSettings settings = tiny_settings({{"steps", 12000}, {"grad_accum", 4}});
  std::ostringstream out;
  report::print_plan(out, settings, 0);
  const std::string isa = name(kernels().isa);
  // wte 256 x 16, wpe 16 x 16, one block of 12 C^2 + 13 C, and the last norm.
  const std::int64_t parameters = 256 * 16 + 16 * 16 + 12 * 16 * 16 + 13 * 16 + 2 * 16;
  CHECK(parameters == 7664);
  CHECK(out.str() ==
        "inkling: 7,664 parameters (1 layer, 2 heads, 16 channels, a vocabulary of 131 tokens), 3 threads, " +
            isa + ", f32\ndata: " + std::filesystem::absolute("tests/goldens/curve_tokens.bin").string() +
            "; a step is 128 tokens (2 x 16 x 4), 12,000 steps\n");
  settings.grad_accum = 1;
  std::ostringstream again;
  report::print_plan(again, settings, 7);
  CHECK_THAT(again.str(), contains("a step is 32 tokens (2 x 16), 12,000 steps, continuing after step 7\n"));
}

}  // namespace
}  // namespace inkling
