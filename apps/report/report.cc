#include "apps/report/report.h"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <sstream>

#include "apps/page/markup.h"
#include "apps/page/page_html.h"
#include "apps/report/norm_charts.h"
#include "apps/report/shell_line.h"
#include "apps/report/train_command.h"
#include "apps/run/format.h"
#include "apps/run/perplexity.h"
#include "apps/version.h"
#include "core/binary_file.h"
#include "core/error.h"

namespace inkling::report {

using namespace page;

namespace {

// The time of a step: the mean of the recent steps, because the speed of a run changes.
double seconds_per_step(const RunRecord& run) {
  const std::size_t recent = std::min<std::size_t>(run.steps.size(), 100);
  if (recent == 0) return 0;
  const double before = run.steps.size() > recent ? run.steps[run.steps.size() - recent - 1].seconds : 0;
  return (run.steps.back().seconds - before) / static_cast<double>(recent);
}

double seconds_left(const RunRecord& run) {
  return seconds_per_step(run) * static_cast<double>(run.settings.steps - run.last_step());
}

// A training writes its page when it validates, samples or saves. If a page is older than four times the time
// between two such events, the training was killed or waits for something.
int stale_seconds(const RunRecord& run) {
  std::int64_t every = run.settings.steps;
  for (const std::int64_t e : {run.settings.val_every, run.settings.sample_every, run.settings.save_every})
    if (e > 0) every = std::min(every, e);
  const double expected = 4 * seconds_per_step(run) * static_cast<double>(every);
  return static_cast<int>(std::min(std::max(expected, 1.0 * kLeastStaleSeconds), 1.0 * kMostStaleSeconds));
}

void add_verdict(Page& page, const RunRecord& run) {
  const Verdict verdict = verdict_on(run);
  page.heading("Verdict");
  page.paragraph(str("*", verbatim(verdict.headline), "* ", verbatim(verdict.why)));
  if (verdict.advice.empty()) return;
  page.paragraph("What to try:");
  std::vector<std::string> items;
  for (const std::string& advice : verdict.advice) items.push_back(verbatim(advice));
  page.list(items);
}

// Adds the speed of the run, and its share of the peak speed of arithmetic, which was measured between the
// steps.
void add_roof(Page& page, Table& table, const RunRecord& run, double tokens_per_s) {
  const auto flops = COMPUTED(run.settings.model.training_flops_per_token(run.settings.seq_len));
  const Ref each = page.number("speed.flops_per_token", flops,
                               {.formula = "$6$ for each weight, and attention",
                                .label = "operations for a token",
                                .engine = "training_flops_per_token in nn/gpt2_config.cc",
                                .print = Print::count});
  const Ref reached = page.number("speed.gflops", COMPUTED(tokens_per_s * flops.value / 1e9),
                                  {.digits = 1,
                                   .formula = "operations for a token, times tokens per second, in $10^9$",
                                   .inputs = {each, "speed.tokens"},
                                   .label = "GFLOP/s"});
  const Ref roof = page.number("speed.roof", COMPUTED(run.session->roof_gflops),
                               {.digits = 1,
                                .formula = "the mean of the peaks that were measured between steps",
                                .label = "peak, GFLOP/s",
                                .engine = "arithmetic_roof in ops/roof/roof.cc"});
  table.rows.push_back({"GFLOP/s", reached});
  table.rows.push_back({"peak of this machine, GFLOP/s", roof});
  table.rows.push_back(
      {"share of the peak, %",
       page.number("speed.share_of_roof",
                   COMPUTED(100 * tokens_per_s * flops.value / 1e9 / run.session->roof_gflops),
                   {.digits = 1, .formula = "$100$ GFLOP/s / peak", .inputs = {reached, roof}})});
}

// The numbers of the run so far, in a table of two columns.
void add_numbers(Page& page, const RunRecord& run) {
  Table table{.caption = "", .columns = {"", "value"}};
  const auto row = [&](const std::string& label, Ref ref) { table.rows.push_back({label, ref}); };
  const About count{.print = Print::count};
  const auto step = COMPUTED(static_cast<double>(run.last_step()));
  row("steps taken", page.number("run.steps", step, count));
  row("tokens seen",
      page.number(
          "run.tokens", COMPUTED(run.tokens(run.last_step())),
          {.formula = "steps times the tokens in a step", .inputs = {"run.steps"}, .print = Print::count}));
  row("parameters", page.number("run.parameters", COMPUTED(run.settings.model.parameter_count()), count));
  const Curve losses = curve_of(run, &StepMetrics::loss);
  if (!losses.y.empty()) {
    const double window = smoothing_window(losses.y.size());
    const auto smooth = COMPUTED(smoothed(losses.y, window));
    const auto last = static_cast<std::int64_t>(losses.y.size()) - 1;
    row("training loss, smoothed",
        page.number("loss.smoothed", smooth.at(last), {.formula = "exponential mean of the losses"}));
  }
  if (!run.validations.empty()) {
    const ValidationMetrics& v = run.validations.back();
    const Ref loss = page.number("loss.validation", COMPUTED(v.loss), {.label = "newest validation loss"});
    row("validation loss", loss);
    row("perplexity", page.number("perplexity.validation", COMPUTED(perplexity(v.loss)),
                                  {.digits = 2, .formula = "$e^{loss}$", .inputs = {loss}}));
    if (v.min_over_rows) {
      const Ref over_rows =
          page.number("loss.min_over_rows", COMPUTED(*v.min_over_rows), {.label = "minimum over rows"});
      row(str("minimum over rows of ", run.settings.seq_len, " tokens"), over_rows);
      if (v.min_over_stories) {
        row("minimum over whole stories", page.number("loss.min_over_stories", COMPUTED(*v.min_over_stories),
                                                      {.label = "minimum over whole stories"}));
      }
      row("above the minimum over rows, %",
          page.number("loss.above_min_over_rows", COMPUTED(100 * (v.loss / *v.min_over_rows - 1)),
                      {.digits = 1, .formula = "$100 (loss / minimum - 1)$", .inputs = {loss, over_rows}}));
    }
  }
  if (!run.steps.empty()) {
    const double seconds = run.seconds(run.last_step());
    table.rows.push_back({"time of the steps", format_duration(seconds)});
    if (run.is_running && !run.is_complete())
      table.rows.push_back({"time to go, about", format_duration(seconds_left(run))});
    const auto speed = COMPUTED(run.tokens(static_cast<std::int64_t>(run.steps.size())) / seconds);
    row("tokens per second",
        page.number(
            "speed.tokens", speed,
            {.formula = "tokens seen / time of the steps", .inputs = {"run.tokens"}, .print = Print::count}));
    if (run.session && run.session->roof_gflops > 0) add_roof(page, table, run, speed.value);
  }
  page.add(table);
}

Series series(const std::string& name, const Curve& curve, Look look) {
  const Curve thin = thinned(curve, kMostPoints);
  return {.name = name, .x = thin.x, .y = thin.y, .look = look};
}

Curve as_perplexity(Curve curve) {
  for (double& y : curve.y) y = perplexity(y);
  return curve;
}

// What the dashed line of the loss chart means; empty for data without a known minimum.
std::string minima_of_the_chart(const RunRecord& run) {
  if (run.validations.empty() || !run.validations.back().min_over_rows) return "";
  const bool has_both = run.validations.back().min_over_stories.has_value();
  return str(" The dashed line is the minimum over rows, {loss.min_over_rows}",
             has_both ? "; over whole stories the minimum is {loss.min_over_stories}." : ".");
}

void add_loss(Page& page, const RunRecord& run) {
  const Curve losses = curve_of(run, &StepMetrics::loss), validations = validation_curve(run);
  if (losses.x.empty() && validations.x.empty()) return;
  const double window = smoothing_window(losses.y.size());
  const Curve smooth{losses.x, smoothed(losses.y, window)};
  page.heading("Loss");
  page.paragraph(
      str("The loss is the mean of `-log p` over the tokens, in nats. The smoothed line is an exponential "
          "mean over about ",
          std::lround(window), window < 1.5 ? " step." : " steps.", minima_of_the_chart(run)));
  LineChart chart{.id = "loss",
                  .title = "Loss",
                  .x_label = "step",
                  .y_label = "nats per token",
                  .toggle_log_x = true,
                  .toggle_log_y = true};
  LineChart perplexities{.id = "perplexity",
                         .title = "Perplexity: the number of equally likely tokens with the same loss",
                         .x_label = "step",
                         .y_label = "perplexity",
                         .log_y = true,
                         .toggle_log_x = true,
                         .toggle_log_y = true};
  if (!losses.x.empty()) {
    chart.series.push_back(series("each step", losses, Look::faint));
    chart.series.push_back(series("training", smooth, Look::main));
    perplexities.series.push_back(series("training", as_perplexity(smooth), Look::main));
  }
  if (!validations.x.empty()) {
    chart.series.push_back(series("validation", validations, Look::second));
    perplexities.series.push_back(series("validation", as_perplexity(validations), Look::second));
    if (const auto least = run.validations.back().min_over_rows) {
      chart.marks.push_back({'y', *least, "minimum over rows"});
      perplexities.marks.push_back({'y', perplexity(*least), "minimum over rows"});
    }
  }
  page.add(chart);
  page.add(perplexities);
}

void add_samples(Page& page, const RunRecord& run) {
  if (run.samples.empty()) return;
  page.heading("What the model writes");
  page.paragraph("After some steps the model wrote a text, at temperature 0.8.");
  page.steps("samples", "The texts, from the first to the newest", [&] {
    for (const Sample& sample : run.samples) {
      page.step("After step " + format_count(sample.step));
      std::istringstream lines(sample.text);
      for (std::string line; std::getline(lines, line);) {
        if (line.find_first_not_of(" \t\r") != line.npos) page.paragraph(verbatim(line));
      }
    }
  });
}

void add_training(Page& page, const RunRecord& run) {
  if (run.steps.empty()) return;
  page.heading("The training");
  const auto chart = [&](const char* id, const char* title, const char* y, double StepMetrics::*number,
                         bool log) {
    const Curve curve = curve_of(run, number);
    if (curve.x.empty()) return;
    LineChart line{.id = id, .title = title, .x_label = "step", .y_label = y, .toggle_log_y = true};
    line.log_y = log;
    line.series.push_back(series("each step", curve, Look::faint));
    line.series.push_back(
        series("smoothed", {curve.x, smoothed(curve.y, smoothing_window(curve.y.size()))}, Look::main));
    if (number == &StepMetrics::grad_norm && run.settings.grad_clip > 0)
      line.marks.push_back({'y', run.settings.grad_clip, "shortened above", Look::fourth});
    page.add(line);
  };
  LineChart rate{.id = "lr",
                 .title = "Learning rate",
                 .x_label = "step",
                 .y_label = "learning rate",
                 .toggle_log_y = true};
  rate.series.push_back(series("learning rate", curve_of(run, &StepMetrics::lr), Look::main));
  page.add(rate);
  chart("grad_norm", "Norm of the gradient, before it is shortened", "norm", &StepMetrics::grad_norm, true);
  chart("speed", "Speed", "tokens per second", &StepMetrics::tokens_per_s, false);
}

void add_settings(Page& page, const RunRecord& run) {
  std::vector<std::string> words = {"inkling", "train"};
  const std::vector<std::string> flags = train_words(run.settings, run.path);
  words.insert(words.end(), flags.begin(), flags.end());
  page.heading("Settings");
  page.paragraph("This command trains with the same settings (give another `--out`):");
  page.add(Verbatim{shell_lines(words)});
  Table table{.caption = "", .columns = {"setting", "value"}};
  const nlohmann::json settings = nlohmann::json(run.settings).flatten();
  for (const auto& [key, value] : settings.items()) {
    std::string name = key.substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    table.rows.push_back({name, value.is_string() ? value.get<std::string>() : value.dump()});
  }
  page.add(table);
  if (!run.session) return;
  page.heading("Machine");
  page.add(Table{.caption = "",
                 .columns = {"", ""},
                 .rows = {{"processor", run.session->cpu},
                          {"instruction set", run.session->isa},
                          {"threads", std::to_string(run.session->threads)},
                          {"inkling", run.session->version}}});
}

}  // namespace

Curve curve_of(const RunRecord& run, double StepMetrics::*number) {
  Curve curve;
  for (const StepMetrics& s : run.steps) {
    if (!std::isfinite(s.*number)) continue;
    curve.x.push_back(static_cast<double>(s.step));
    curve.y.push_back(s.*number);
  }
  return curve;
}

Curve validation_curve(const RunRecord& run) {
  Curve curve;
  for (const ValidationMetrics& v : run.validations) {
    curve.x.push_back(static_cast<double>(v.step));
    curve.y.push_back(v.loss);
  }
  return curve;
}

Verdict verdict_on(const RunRecord& run) {
  Evidence e{.lr = run.settings.lr, .grad_clip = run.settings.grad_clip, .planned_steps = run.settings.steps};
  for (const StepMetrics& s : run.steps) {
    if (std::isnan(s.loss)) continue;
    e.steps.push_back(s.step);
    e.losses.push_back(s.loss);
  }
  for (const ValidationMetrics& v : run.validations) {
    e.validation_steps.push_back(v.step);
    e.validation_losses.push_back(v.loss);
  }
  if (!run.validations.empty()) {
    e.min_over_rows = run.validations.back().min_over_rows;
    e.min_over_stories = run.validations.back().min_over_stories;
  }
  if (run.session && run.session->has_diverged() && !run.is_running) e.diverged = run.session->end;
  return judge(e);
}

std::string state_of(const RunRecord& run) {
  const std::string steps =
      str("step ", format_count(run.last_step()), " of ", format_count(run.settings.steps));
  if (run.is_complete()) return str("complete, ", format_count(run.last_step()), " steps");
  if (!run.is_running) {
    if (run.session && run.session->has_diverged()) return "diverged at " + steps;
    return "stopped at " + steps;
  }
  if (run.steps.empty()) return "training, " + steps;
  return str("training, ", steps, ", about ", format_duration(seconds_left(run)), " to go");
}

Page run_page(const RunRecord& run) {
  Page page("Run " + run.name);
  page.lede(verbatim(state_of(run)) + ".");
  if (run.is_running && !run.is_complete()) {
    page.refresh = {
        .seconds = kRefreshSeconds,
        .written = static_cast<double>(std::time(nullptr)),
        .stale_seconds = stale_seconds(run),
        .stale_text = str("The training has not written this page for a while: it may have been killed. "
                          "To see its newest numbers, run inkling report ",
                          shell_line({run.path}), "; to continue it, inkling train --out ",
                          shell_line({run.path}), " --resume.")};
  }
  for (const std::string& warning : run.warnings) page.paragraph(verbatim(warning) + ".");
  add_verdict(page, run);
  add_numbers(page, run);
  add_loss(page, run);
  add_samples(page, run);
  add_training(page, run);
  add_norms(page, run);
  add_settings(page, run);
  page.command = shell_line({"inkling", "report", run.path});
  page.origin = {{"written", time_now()}, {"inkling", kVersion}};
  return page;
}

std::string time_now() {
  const std::time_t time = std::time(nullptr);
  std::tm utc = {};
  gmtime_r(&time, &utc);
  char text[64];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &utc);
  return text;
}

void write_page(const std::string& path, const Page& page) {
  AtomicFile file(path);
  file.write(page_html(page));
  file.commit();
}

}  // namespace inkling::report
