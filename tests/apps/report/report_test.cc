// Reports of runs: what is read, what is shown, bad input, comparisons and tables.
#include "apps/report/report.h"

#include <filesystem>

#include "apps/page/page_html.h"
#include "apps/report/shell_line.h"
#include "apps/report/train_command.h"
#include "tests/apps/command_line.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/pages/browser.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using namespace inkling::report;

constexpr const char* kHostile = "</script><img src=x onerror=1>";

// A run of 30 steps with two validations and a sample, whose files are written here.
void write_run(const std::string& path, const nlohmann::json& changes = nlohmann::json::object()) {
  std::filesystem::create_directories(path + "/samples");
  nlohmann::json settings = tiny_settings({{"steps", 30}});
  settings.merge_patch(changes);
  write_json(path + "/config.json", settings);
  std::string lines =
      R"({"step":0,"val_loss":5.0,"val_perplexity":148.4,"min_over_rows":1.5,"min_over_stories":1.4})"
      "\n";
  for (int step = 1; step <= 30; ++step) {
    lines += str(R"({"step":)", step, R"(,"loss":)", 5 - 0.1 * step,
                 R"(,"grad_norm":1.25,"lr":0.01,"ms":500,"tokens_per_s":64})", "\n");
  }
  lines += R"({"step":30,"val_loss":2.5,"val_perplexity":12.18,"min_over_rows":1.5,"min_over_stories":1.4})"
           "\n";
  write_text(path + "/metrics.jsonl", lines);
  write_text(path + "/samples/step_00000030.txt",
             std::string("He said ") + kHostile + "\x1b[2J\xff `a* $b {c\n");
}

void append(const std::string& path, const std::string& text) {
  write_text(path, read_text(path) + text);
}

TEST_CASE("report: one page of a run has its curves, numbers, samples, settings and verdict") {
  const TemporaryDirectory t;
  write_run(t / "run");
  const Answer answer = run_here({"report", t / "run"});
  CHECK(answer.err.empty());
  CHECK_THAT(answer.out, contains("complete, 30 steps. The loss is still falling."));
  CHECK_THAT(answer.out, contains(t / "run/report.html\n"));
  const std::string html = read_text(t / "run/report.html");
  for (const char* text :
       {"id=\"loss\"", "id=\"perplexity\"", "id=\"lr\"", "id=\"grad_norm\"", "id=\"speed\"",
        "The loss is still falling.", "After step 30", "--batch-size 2", "theoretical minimum"}) {
    CHECK_THAT(html, contains(text));
  }
  CHECK(html.find("http-equiv=\"refresh\"") == std::string::npos);
  const RunRecord run = read_run(t / "run");
  const page::Page page = run_page(run);
  CHECK(page.printed("loss.validation") == "2.5000");
  CHECK(page.printed("loss.above_minimum") == "66.7");
  CHECK(page.printed("run.tokens") == "960");
  CHECK(page.printed("speed.tokens") == "64");
}

TEST_CASE("report: hostile text of a sample and of a setting is shown, never obeyed") {
  const TemporaryDirectory t;
  write_run(t / "run", {{"val_data", kHostile}});
  run_here({"report", t / "run"});
  const std::string html = read_text(t / "run/report.html");
  CHECK(html.find("<img") == std::string::npos);
  CHECK_THAT(html, contains("He said &lt;/script&gt;&lt;img src=x onerror=1&gt;"));
  CHECK_THAT(html, contains("`a* $b {c"));
  CHECK(html.find('\x1b') == std::string::npos);
}

TEST_CASE("report: a half-written last line and damaged lines are left out, with one warning each") {
  const TemporaryDirectory t;
  write_run(t / "run");
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
  write_run(t / "run");
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
  write_run(t / "run");
  write_text(t / "run/config.json", "{\"steps\": 3");
  CHECK_THROWS_WITH(run_here({"report", t / "run"}), contains("config.json"));
  write_run(t / "a");
  CHECK_THROWS_WITH(run_here({"report", t / "a", t / "a"}), contains("expected --out FILE"));
  const std::vector<RunRecord> seven(kMostCompared + 1, read_run(t / "a"));
  CHECK_THROWS_WITH(comparison_page(seven, "x"), contains("got 7 runs, expected at most 6"));
  CHECK_NOTHROW(comparison_page({seven.begin(), seven.end() - 1}, "x"));
}

TEST_CASE("report: a run without any step has a report, too") {
  const TemporaryDirectory t;
  write_run(t / "run");
  std::filesystem::remove(t / "run/metrics.jsonl");
  std::filesystem::remove_all(t / "run/samples");
  const Answer answer = run_here({"report", t / "run"});
  CHECK_THAT(answer.out, contains("stopped at step 0 of 30. It is too early to say."));
}

TEST_CASE("report: while a run is training, its page loads itself again") {
  const TemporaryDirectory t;
  write_run(t / "run", {{"steps", 90}});
  CHECK_THAT(state_of(read_run(t / "run")), contains("stopped at step 30 of 90"));
  const RunDirectory training(t / "run");  // holds the lock
  const RunRecord run = read_run(t / "run");
  CHECK(state_of(run) == "training, step 30 of 90, about 30s to go");
  CHECK_THAT(page::page_html(run_page(run)), contains("http-equiv=\"refresh\" content=\"10\""));
}

TEST_CASE("report: several runs are compared by step, tokens and time, with the settings that differ") {
  const TemporaryDirectory t;
  write_run(t / "a");
  write_run(t / "b", {{"lr", 0.5}, {"batch_size", 4}});
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
  write_run(t / "a,b");
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

TEST_CASE("report: the command of a report starts a run with the same settings") {
  for (const nlohmann::json& changes :
       {nlohmann::json::object(), nlohmann::json{{"optimizer", "sgd"}, {"momentum", 0.5}, {"shuffle", false}},
        nlohmann::json{
            {"schedule", "constant"}, {"recompute", true}, {"grad_accum", 3}, {"loss_mask", false}}}) {
    TrainSettings settings = tiny_settings(changes);
    const nlohmann::json again = resolve_words(train_words(settings, "runs/x"));
    CHECK(again == nlohmann::json(settings));
  }
  CHECK(shell_line({"a", "b c", "it's", ""}) == "a 'b c' 'it'\\''s' ''");
  CHECK_THAT(shell_lines(train_words(tiny_settings(), "runs/x")), contains(" \\\n  --"));
}

TEST_CASE("report: the pages are valid HTML and work in a browser", "[.][pages]") {
  const TemporaryDirectory t;
  write_run(t / "a");
  write_run(t / "b", {{"lr", 0.5}});
  run_here({"report", t / "a"});
  run_here({"report", t / "a", t / "b", "--out", t / "both.html"});
  for (const std::string& page : {t / "a/report.html", t / "both.html"}) {
    check_html(page);
    check_in_browser(page);
  }
}

}  // namespace
}  // namespace inkling
