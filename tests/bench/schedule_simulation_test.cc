// The list scheduler that simulates a step on many cores, compared with small cases computed by hand.
#include "bench/schedule_simulation.h"

#include "tests/support.h"

namespace inkling::bench {
namespace {

using namespace inkling::test;

TEST_CASE("simulation: one core runs all tasks one after another") {
  const std::vector<SimulatedTask> tasks = {
      {1.0, {{4, 2.0}}, {1}}, {0.5, {}, {}}, {0.0, {{3, 3.0}, {2, 1.0}}, {}}};
  CHECK(simulate(tasks, 1, {}) == approx(1.0 + 2.0 + 0.5 + 3.0 + 1.0));
}

TEST_CASE("simulation: tasks without a dependency run at the same time, dependent tasks after each other") {
  std::vector<SimulatedTask> tasks = {{2.0, {}, {}}, {3.0, {}, {}}};
  CHECK(simulate(tasks, 2, {}) == approx(3.0));
  tasks[0].successors = {1};
  CHECK(simulate(tasks, 2, {}) == approx(5.0));
}

TEST_CASE("simulation: the free cores share a loop, at most one core for each chunk") {
  const std::vector<SimulatedTask> tasks = {{1.0, {{6, 6.0}}, {}}};
  CHECK(simulate(tasks, 2, {}) == approx(1.0 + 3.0));
  CHECK(simulate(tasks, 4, {}) == approx(1.0 + 2.0));  // two rounds: four chunks, then the other two
  CHECK(simulate(tasks, 6, {}) == approx(1.0 + 1.0));
  CHECK(simulate(tasks, 64, {}) == approx(1.0 + 1.0));
}

TEST_CASE("simulation: while one core runs a serial task, the other cores share a loop") {
  // The first core starts the task with the loop, the second core starts the serial task. A third core helps
  // with the loop.
  const std::vector<SimulatedTask> tasks = {{0.0, {{8, 8.0}}, {}}, {4.0, {}, {}}};
  // After 4 s the loop has 4 chunks left, which both cores share.
  CHECK(simulate(tasks, 2, {}) == approx(6.0));
  CHECK(simulate(tasks, 3, {}) == approx(4.0));
}

TEST_CASE("simulation: each chunk and each loop has an overhead, except a loop of one chunk") {
  const Overhead overhead{.chunk_seconds = 0.5, .loop_seconds = 2.0};
  CHECK(simulate({{0.0, {{1, 3.0}}, {}}}, 2, overhead) == approx(3.0));
  // Two chunks of 1.5 on two cores. The first chunk also has the overhead of the loop.
  CHECK(simulate({{0.0, {{2, 3.0}}, {}}}, 2, overhead) == approx(1.5 + 0.5 + 2.0));
}

TEST_CASE("simulation: in order, tasks run one after another, but the cores still share loops") {
  const std::vector<SimulatedTask> tasks = {{1.0, {}, {}}, {1.0, {{2, 2.0}}, {}}, {1.0, {}, {}}};
  CHECK(simulate(tasks, 2, {}) < 5.0);
  CHECK(simulate(in_order(tasks), 1, {}) == approx(5.0));
  CHECK(simulate(in_order(tasks), 2, {}) == approx(4.0));
}

}  // namespace
}  // namespace inkling::bench
