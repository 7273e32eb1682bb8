// inkling train --profile and --trace: they report the real times and work, and do not change the training.
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "apps/run/profile_report.h"
#include "apps/run/trace.h"
#include "core/error.h"
#include "tests/apps/process.h"
#include "tests/nn/golden.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

ProfileEvent event(const char* name, Phase phase, int thread, std::int64_t begin_ns, std::int64_t end_ns) {
  ProfileEvent e;
  e.name = name, e.phase = phase, e.thread = thread, e.begin_ns = begin_ns, e.end_ns = end_ns;
  return e;
}

std::map<std::string, ProfileReport::Row> by_name(const ProfileReport& report) {
  std::map<std::string, ProfileReport::Row> rows;
  for (const ProfileReport::Row& row : report.rows()) rows.emplace(row.name, row);
  return rows;
}

TEST_CASE("profile report: ops that run at the same time share that time, so no time is counted twice") {
  ProfileStep step;
  step.begin_ns = 1000, step.end_ns = 2000;
  step.events = {event("gelu", Phase::forward, 0, 1000, 1100), event("dx", Phase::backward, 0, 1200, 1500),
                 event("dw", Phase::backward, 1, 1300, 1700), event("dw", Phase::backward, 0, 1500, 1600)};
  ProfileReport report;
  report.add(step);
  const auto rows = by_name(report);
  CHECK(rows.at("gelu").ns == 100);
  CHECK(rows.at("dx").ns == 100 + 200 / 2);                      // dx runs alone, then together with dw
  CHECK(rows.at("dw").ns == 200 / 2 + 100 / 2 + 100 / 2 + 100);  // dw runs with dx, then twice, then alone
  CHECK(rows.at("dw").calls == 2);
}

TEST_CASE("profile report: the third step removes the first two") {
  ProfileReport report;
  ProfileStep step;
  for (const std::int64_t ns : {900, 500, 100, 102}) {
    step.end_ns = ns;
    step.page_allocations = ns;
    step.events = {event("gelu", Phase::forward, 0, 0, ns)};
    report.add(step);
  }
  CHECK(report.steps() == 2);
  CHECK(by_name(report).at("gelu").ns == 202);
  std::ostringstream out;
  report.print(out, "1 thread");
  CHECK_THAT(out.str(), contains("requested from the system 202 times in 2 steps."));
}

TEST_CASE("profile report: a real step has a row for each of its ops; the rows fit its time and its FLOPs") {
  const GPT2Config config{.max_seq_len = 64, .vocab_size = 300, .layers = 2, .heads = 4, .channels = 128};
  GPT2 model(config);
  model.initialise(1);
  std::vector<std::int32_t> ids(8 * 64, 17);
  ProfileReport report;
  Tape tape;
  tape.profile_into(&report.profile());
  constexpr int kCold = 2;  // the report leaves out the first two steps
  std::chrono::steady_clock::time_point start;
  for (int number = 1; number <= 12; ++number) {
    if (number == kCold + 1) start = std::chrono::steady_clock::now();
    report.begin_step(number);
    tape.clear();
    tape.backward(model.loss(tape, Tensor(ids.data(), {8, 64}), Tensor(ids.data(), {8, 64})));
    report.end_step();
  }
  const std::chrono::duration<double, std::nano> elapsed = std::chrono::steady_clock::now() - start;
  double covered = 0, flops = 0;
  for (const ProfileReport::Row& row : report.rows()) covered += row.ns, flops += row.flops;
  CHECK(covered <= elapsed.count());
  std::set<std::string> names;
  for (const ProfileReport::Row& row : report.rows()) names.insert(row.name);
  CHECK(names == std::set<std::string>{"embedding", "layernorm", "linear", "attention", "gelu",
                                       "linear_cross_entropy", "linear.dx", "linear.dweight",
                                       "linear.dresidual", "plan"});
  // The formula counts a multiplication for every weight, even for biases, norms and positions. But it counts
  // only six of attention's seven products.
  const double expected = config.training_flops_per_token(64) * 8 * 64;
  CHECK(flops / static_cast<double>(report.steps()) == approx(expected).epsilon(0.03));
}

TEST_CASE(
    "profile report: the table has calls, milliseconds and shares of a step, and the time outside ops") {
  ProfileStep step;
  step.begin_ns = 0, step.end_ns = 10'000'000;
  step.page_allocations = 3;
  step.events = {event("batch", Phase::data, 0, 0, 1'000'000),
                 event("gelu", Phase::forward, 0, 1'000'000, 4'000'000),
                 event("gelu", Phase::forward, 0, 4'000'000, 5'000'000),
                 event("gelu", Phase::backward, 0, 5'000'000, 9'000'000)};
  step.events[1].allocated_bytes = 3 << 20;
  step.events[2].allocated_bytes = 1 << 20;
  ProfileReport report;
  std::ostringstream empty, out;
  report.print(empty, "2 threads");
  CHECK_THAT(empty.str(), contains("The run took no step"));
  report.add(step);
  report.add(step);
  report.print(out, "2 threads");
  const std::string text = out.str();
  CHECK_THAT(text, contains("Profile of 2 steps; 2 threads\n"));
  const auto row = [&](const std::string& label) {
    const std::size_t begin = text.find("\n" + label + " ");
    REQUIRE(begin != std::string::npos);
    std::istringstream words(
        text.substr(begin + 1 + label.size(), text.find('\n', begin + 1) - begin - 1 - label.size()));
    std::vector<std::string> found;
    for (std::string word; words >> word;) found.push_back(word);
    return found;
  };
  using Words = std::vector<std::string>;
  CHECK(row("data") == Words{"1.00", "10.0%"});
  CHECK(row("  batch") == Words{"1", "1.00", "10.0%"});
  CHECK(row("forward") == Words{"4.00", "40.0%", "4.0", "MiB"});
  CHECK(row("  gelu") == Words{"2", "4.00", "40.0%", "4.0", "MiB"});
  CHECK(row("backward") == Words{"4.00", "40.0%"});
  CHECK(row("update") == Words{"0.00", "0.0%"});
  CHECK(row("other") == Words{"1.00", "10.0%"});
  CHECK(row("step") == Words{"10.00", "100.0%", "4.0", "MiB"});
  CHECK(text.find("recomputed") == std::string::npos);
  CHECK_THAT(text, contains("Memory pages were requested from the system 6 times in 2 steps."));
}

TEST_CASE("trace: every event has its time, its duration, its thread and its arguments") {
  ProfileStep step;
  step.number = 9, step.begin_ns = 1000, step.end_ns = 9500;
  step.events = {event("linear", Phase::forward, 0, 2000, 3500),
                 event("linear.dx", Phase::backward, 2, 4000, 9000)};
  step.events[0].shape = {2, 3};
  step.events[0].work = {.flops = 12, .bytes = 34, .operands = DType::bf16};
  const json trace = json::parse(trace_of({&step}).dump());
  const json& events = trace.at("traceEvents");
  REQUIRE(events.size() == 6);  // the process's name, the step, two ops, two threads' names
  CHECK(events[1].at("name") == "step 9");
  const json want = {{"ph", "X"},
                     {"pid", 0},
                     {"tid", 0},
                     {"ts", 2.0},
                     {"dur", 1.5},
                     {"name", "linear"},
                     {"cat", "forward"},
                     {"args", {{"shape", "(2, 3)"}, {"flops", 12.0}, {"bytes", 34.0}, {"operands", "bf16"}}}};
  CHECK(events[2] == want);
  CHECK(events[3].at("tid") == 2);
  CHECK(events[3].at("cat") == "backward");
  CHECK(events[5].at("args").at("name") == "worker 2");
}

TEST_CASE("train: --profile and --trace report the steps, and the model has the same bytes as without them") {
  const TemporaryDirectory temporary;
  const auto train = [&](const std::string& name, const std::vector<std::string>& flags) {
    const std::vector<std::string> more = {"--save-every", "0", "--grad-accum", "2", "--threads", "2"};
    const Outcome outcome = run(twenty_steps(temporary / name) + more + flags);
    INFO(outcome.err);
    REQUIRE(outcome.status == 0);
    return outcome;
  };
  train("plain", {});
  const Outcome watched = train("watched", {"--profile", "--trace", temporary / "trace.json"});
  CHECK(read_text(temporary / "plain/model.bin") == read_text(temporary / "watched/model.bin"));
  CHECK_THAT(watched.out, contains("Profile of 18 steps, without the first two; 2 threads"));
  for (const char* row : {"  batch  ", "  attention  ", "  linear.dx  ", "  linear.dweight  ",
                          "  gradient norm  ", "  adamw  ", "Memory pages were requested from the system "}) {
    CHECK_THAT(watched.out, contains(row));
  }
  const json trace = json::parse(read_text(temporary / "trace.json"));
  std::map<std::string, int> counts;
  for (const json& e : trace.at("traceEvents")) {
    ++counts[e.at("ph") == "M" ? "metadata"
                               : e.at("cat").get<std::string>() + " " + e.at("name").get<std::string>()];
    if (e.at("ph") == "X" && e.at("cat") != "backward") CHECK(e.at("tid") == 0);
  }
  for (int step = 1; step <= 20; ++step) {
    CHECK(counts["step step " + std::to_string(step)] == (step >= 18 ? 1 : 0));
  }
  // Three steps of two micro-batches. Two layers with four linear ops each.
  CHECK(counts["data batch"] == 3 * 2);
  CHECK(counts["forward linear"] == 3 * 2 * 8);
  CHECK(counts["backward linear.dx"] == 3 * 2 * 8);
  CHECK(counts["backward linear.dweight"] == 3 * 2 * 8);
  CHECK(counts["update adamw"] == 3);
}

TEST_CASE("train: a trace that cannot be written is refused before the first step") {
  const TemporaryDirectory temporary;
  const Outcome outcome =
      run({"train", "--out", temporary / "run", "--steps", "2", "--trace", temporary / "no/such/t.json"});
  CHECK(outcome.status == 1);
  CHECK_THAT(outcome.err, contains("no/such/t.json: cannot write"));
  CHECK_FALSE(std::filesystem::exists(temporary / "run/metrics.jsonl"));
}

}  // namespace
}  // namespace inkling
