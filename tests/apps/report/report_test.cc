// Reports of runs: what is read, what is shown, bad input, comparisons and tables.
#include "apps/report/report.h"

#include <filesystem>

#include "apps/page/page_html.h"
#include "apps/report/shell_line.h"
#include "apps/report/train_command.h"
#include "tests/apps/command_line.h"
#include "tests/apps/report/small_run.h"
#include "tests/pages/browser.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using namespace inkling::report;

void append(const std::string& path, const std::string& text) {
  write_text(path, read_text(path) + text);
}

TEST_CASE("report: one page of a run has its curves, numbers, samples, settings and verdict") {
  const TemporaryDirectory t;
  write_small_run(t / "run");
  const Answer answer = run_here({"report", t / "run"});
  CHECK(answer.err.empty());
  CHECK_THAT(answer.out, contains("complete, 30 steps. The loss is still falling."));
  CHECK_THAT(answer.out, contains(t / "run/report.html\n"));
  const std::string html = read_text(t / "run/report.html");
  for (const char* text : {"id=\"loss\"", "id=\"perplexity\"", "id=\"lr\"", "id=\"grad_norm\"",
                           "id=\"speed\"", "The loss is still falling.", "After step 30", "--batch-size 2",
                           "minimum over rows", "minimum over whole stories"}) {
    CHECK_THAT(html, contains(text));
  }
  CHECK(html.find("id=\"stale\"") == std::string::npos);
  const RunRecord run = read_run(t / "run");
  const page::Page page = run_page(run);
  CHECK(page.printed("loss.validation") == "2.5000");
  CHECK(page.printed("loss.min_over_rows") == "1.5000");
  CHECK(page.printed("loss.min_over_stories") == "1.4000");
  CHECK(page.printed("loss.above_min_over_rows") == "66.7");
  CHECK(page.printed("run.tokens") == "960");
  CHECK(page.printed("speed.tokens") == "64");
}

TEST_CASE("report: hostile text of a sample and of a setting is shown as text and never becomes HTML") {
  const TemporaryDirectory t;
  write_small_run(t / "run", {{"val_data", kHostileText}});
  run_here({"report", t / "run"});
  const std::string html = read_text(t / "run/report.html");
  CHECK(html.find("<img") == std::string::npos);
  CHECK_THAT(html, contains("He said &lt;/script&gt;&lt;img src=x onerror=1&gt;"));
  CHECK_THAT(html, contains("`a* $b {c"));
  CHECK(html.find('\x1b') == std::string::npos);
}

TEST_CASE("report: a half-written last line and damaged lines are left out, with one warning each") {
  const TemporaryDirectory t;
  write_small_run(t / "run");
  append(t / "run/metrics.jsonl", R"({"step":31,"loss":1.)");
  const Answer half = run_here({"report", t / "run"});
  CHECK(half.err ==
        str("inkling: ", t / "run/metrics.jsonl", ": line 33 is only half-written and is left out\n"));
  CHECK(read_run(t / "run").last_step() == 30);

  append(t / "run/metrics.jsonl", "\n{\"step\":-1}\nnonsense\n");
  const Answer damaged = run_here({"report", t / "run"});
  CHECK_THAT(damaged.err, contains("metrics.jsonl: line 33") && contains("and 2 more are left out\n"));
  CHECK(std::count(damaged.err.begin(), damaged.err.end(), '\n') == 1);
  CHECK(read_run(t / "run").steps.size() == 30);
}

TEST_CASE("report: after a crash the last lines of a step count") {
  const TemporaryDirectory t;
  write_small_run(t / "run");
  append(t / "run/metrics.jsonl",
         R"({"step":30,"loss":9.0,"grad_norm":1,"lr":0.01,"ms":500,"tokens_per_s":64})"
         "\n");
  const RunRecord run = read_run(t / "run");
  CHECK(run.steps.size() == 30);
  CHECK(run.steps.back().loss == 9.0);
}

TEST_CASE("report: no run, no directory and a damaged config are one clear line") {
  const TemporaryDirectory t;
  CHECK_THROWS_WITH(run_here({"report", t / "missing"}), contains("missing: no such directory"));
  CHECK_THROWS_WITH(run_here({"report", t.path()}), contains("there is no config.json"));
  write_small_run(t / "run");
  write_text(t / "run/config.json", "{\"steps\": 3");
  CHECK_THROWS_WITH(run_here({"report", t / "run"}), contains("config.json"));
  write_small_run(t / "a");
  CHECK_THROWS_WITH(run_here({"report", t / "a", t / "a"}), contains("expected --out FILE"));
  const std::vector<RunRecord> seven(kMostCompared + 1, read_run(t / "a"));
  CHECK_THROWS_WITH(comparison_page(seven, "x"), contains("got 7 runs, expected at most 6"));
  CHECK_NOTHROW(comparison_page({seven.begin(), seven.end() - 1}, "x"));
}

TEST_CASE("report: a run without any step has a report, too") {
  const TemporaryDirectory t;
  write_small_run(t / "run");
  std::filesystem::remove(t / "run/metrics.jsonl");
  std::filesystem::remove_all(t / "run/samples");
  const Answer answer = run_here({"report", t / "run"});
  CHECK_THAT(answer.out, contains("stopped at step 0 of 30. It is too early to say."));
}

TEST_CASE("report: while a run is training, its page loads itself again") {
  const TemporaryDirectory t;
  write_small_run(t / "run", {{"steps", 90}});
  CHECK_THAT(state_of(read_run(t / "run")), contains("stopped at step 30 of 90"));
  const RunDirectory training(t / "run");  // holds the lock
  const RunRecord run = read_run(t / "run");
  CHECK(state_of(run) == "training, step 30 of 90, about 30s to go");
  const std::string html = page::page_html(run_page(run));
  CHECK_THAT(html, contains("id=\"stale\" role=\"status\" hidden data-every=\"10\""));
  CHECK_THAT(html, contains("data-stale=\"180\""));
}

TEST_CASE("report: several runs are compared by step, tokens and time, with the settings that differ") {
  const TemporaryDirectory t;
  write_small_run(t / "a");
  write_small_run(t / "b", {{"lr", 0.5}, {"batch_size", 4}});
  run_here({"report", t / "a", t / "b", "--out", t / "both.html"});
  const std::string html = read_text(t / "both.html");
  for (const char* text :
       {"id=\"loss.step\"", "id=\"loss.tokens\"", "id=\"validation.time\"", "Settings that differ"})
    CHECK_THAT(html, contains(text));
  const page::Page page = comparison_page({read_run(t / "a"), read_run(t / "b")}, "x");
  double last_tokens = 0, last_seconds = 0;
  page::for_each_block(page.blocks(), [&](const page::Block& block) {
    const auto* chart = std::get_if<page::LineChart>(&block.content);
    if (chart == nullptr) return;
    if (chart->id == "loss.tokens") last_tokens = chart->series[1].x.back();
    if (chart->id == "loss.time") last_seconds = chart->series[1].x.back();
  });
  CHECK(last_tokens == 30 * 4 * 16);
  CHECK(last_seconds == 15);
}

TEST_CASE("report: --csv writes one line for each step, with the validation after it") {
  const TemporaryDirectory t;
  write_small_run(t / "a,b");
  run_here({"report", t / "a,b", "--csv", t / "table.csv"});
  std::istringstream table(read_text(t / "table.csv"));
  std::vector<std::string> lines;
  for (std::string line; std::getline(table, line);) lines.push_back(line);
  REQUIRE(lines.size() == 32);
  const std::string name = "\"" + (t / "a,b") + "\"";
  CHECK_THAT(lines[0], contains("run,step,tokens,seconds,loss"));
  CHECK(lines[1] == name + ",0,0,0.0,,,,,,5.0,148.4131591025766,1.5,1.4");
  CHECK(lines[2] == name + ",1,32,0.5,4.9,1.25,0.01,500.0,64.0,,,,");
  CHECK_THAT(lines[31], contains(",30,960,15.0,2.0,") && contains(",2.5,12.18"));
}

TEST_CASE("report: norms of the layers are charts of the page and columns of the table") {
  const TemporaryDirectory t;
  write_small_run(t / "run", {}, true);
  write_small_run(t / "old");
  const RunRecord run = read_run(t / "run"), old = read_run(t / "old");
  CHECK(run.validations[0].weight_norms.empty());
  CHECK(run.validations[1].grad_norms == std::vector<double>{0.5, 0.25, 0.125});
  std::vector<page::LineChart> charts;
  page::for_each_block(run_page(run).blocks(), [&](const page::Block& block) {
    const auto* chart = std::get_if<page::LineChart>(&block.content);
    if (chart != nullptr && chart->id.ends_with("_norms")) charts.push_back(*chart);
  });
  REQUIRE(charts.size() == 2);
  CHECK(charts[0].id == "grad_norms");
  REQUIRE(charts[1].series.size() == 2);  // the embeddings, and the only layer
  CHECK(charts[1].series[1].name == "layer 1");
  CHECK(charts[1].series[1].x == std::vector<double>{30});
  CHECK(charts[1].series[1].y == std::vector<double>{4});
  const std::string table = metrics_table({old, run});
  CHECK_THAT(table, contains("min_over_stories,weight_norm_embeddings,weight_norm_layer_1,"
                             "weight_norm_last_layernorm,grad_norm_embeddings,grad_norm_layer_1,"
                             "grad_norm_last_layernorm\n"));
  CHECK_THAT(table, contains(",1.5,1.4,8.0,4.0,2.5,0.5,0.25,0.125\n"));
  CHECK_THAT(table, contains(",1.5,1.4,,,,,,\n"));
  append(t / "run/metrics.jsonl",
         R"({"step":31,"val_loss":2,"weight_norm_embeddings":2,"weight_norm_layer_1":"x"})"
         "\n");
  CHECK_THAT(run_here({"report", t / "run"}).err,
             contains("line 33: weight_norm_layer_1 is \"x\", expected a number; the line is left out"));
}

TEST_CASE("report: the speed is a share of the peak that was measured during the run") {
  const TemporaryDirectory t;
  write_small_run(t / "run");
  Session session = this_session();
  session.roof_gflops = 0.25;
  write_session(t / "run", session);
  const RunRecord run = read_run(t / "run");
  const page::Page page = run_page(run);
  const double flops = run.settings.model.training_flops_per_token(16);
  CHECK(page.at("speed.gflops").value == approx(64 * flops * 1e-9));
  CHECK(page.at("speed.share_of_roof").value == approx(100 * 64 * flops * 1e-9 / 0.25));
  session.roof_gflops = 0;  // a run of an older version
  write_session(t / "run", session);
  CHECK(run_page(read_run(t / "run")).find("speed.share_of_roof") == nullptr);
}

TEST_CASE("report: a page is old after four times the time between the training's pages, at least a minute") {
  const TemporaryDirectory t;
  write_small_run(t / "run", {{"steps", 90}, {"val_every", 80}, {"save_every", 50}, {"sample_every", 0}});
  const RunDirectory training(t / "run");  // holds the lock
  CHECK(run_page(read_run(t / "run")).refresh.stale_seconds == 4 * 50 / 2);
  write_small_run(t / "run", {{"steps", 90}, {"val_every", 20}, {"save_every", 50}});
  const page::Page page = run_page(read_run(t / "run"));
  CHECK(page.refresh.stale_seconds == 60);
  CHECK_THAT(page.refresh.stale_text, contains("inkling report " + (t / "run")));
  write_small_run(
      t / "run",
      {{"steps", 90'000'000}, {"val_every", 80'000'000}, {"save_every", 80'000'000}, {"sample_every", 0}});
  CHECK(run_page(read_run(t / "run")).refresh.stale_seconds == 24 * 3600);
}

TEST_CASE("report: the command of a report starts a run with the same settings") {
  for (const nlohmann::json& changes :
       {nlohmann::json::object(), nlohmann::json{{"optimizer", "sgd"}, {"momentum", 0.5}, {"shuffle", false}},
        nlohmann::json{
            {"schedule", "constant"}, {"recompute", true}, {"grad_accum", 3}, {"loss_mask", false}},
        nlohmann::json{{"local_steps", 3}, {"local_steps_dtype", "bf16"}, {"outer_lr", 0.5}}}) {
    TrainSettings settings = tiny_settings(changes);
    const nlohmann::json again = resolve_words(train_words(settings, "runs/x"));
    CHECK(again == nlohmann::json(settings));
  }
  CHECK(shell_line({"a", "b c", "it's", ""}) == "a 'b c' 'it'\\''s' ''");
  CHECK_THAT(shell_lines(train_words(tiny_settings(), "runs/x")), contains(" \\\n  --"));
}

TEST_CASE("report: the pages are valid HTML and work in a browser", "[.][pages]") {
  const TemporaryDirectory t;
  write_small_run(t / "a", {}, true);
  for (int step = 1; step <= 6; ++step)
    write_text(t / str("a/samples/step_0000000", step, ".txt"), str("After ", step, " steps ", kHostileText));
  write_small_run(t / "b", {{"lr", 0.5}});
  run_here({"report", t / "a"});
  run_here({"report", t / "a", t / "b", "--out", t / "both.html"});
  // A training that was killed: its page says so, and does not load itself again.
  write_small_run(t / "killed", {{"steps", 90}});
  RunRecord killed = read_run(t / "killed");
  killed.is_running = true;
  page::Page page = run_page(killed);
  page.refresh.written -= 1000;
  write_page(t / "killed.html", page);
  for (const std::string& file : {t / "a/report.html", t / "both.html", t / "killed.html"}) {
    check_html(file);
    const nlohmann::json found = check_in_browser(file);
    CHECK(found.value("stale", false) == file.ends_with("killed.html"));
  }
}

}  // namespace
}  // namespace inkling
