// The list scheduler that replays a step on many cores, on cases one can work out by hand.
#include "bench/schedule_simulation.h"

#include "tests/support.h"

namespace inkling::bench {
namespace {

using namespace inkling::test;

TEST_CASE("simulation: on one core every task takes its turn") {
  const std::vector<SimulatedTask> tasks = {
      {1.0, {{4, 2.0}}, {1}}, {0.5, {}, {}}, {0.0, {{3, 3.0}, {2, 1.0}}, {}}};
  CHECK(simulate(tasks, 1, {}) == approx(1.0 + 2.0 + 0.5 + 3.0 + 1.0));
}

TEST_CASE("simulation: tasks without a link run side by side, linked ones after each other") {
  std::vector<SimulatedTask> tasks = {{2.0, {}, {}}, {3.0, {}, {}}};
  CHECK(simulate(tasks, 2, {}) == approx(3.0));
  tasks[0].successors = {1};
  CHECK(simulate(tasks, 2, {}) == approx(5.0));
}

TEST_CASE("simulation: a loop is shared by the cores that are free, up to its chunks") {
  const std::vector<SimulatedTask> tasks = {{1.0, {{6, 6.0}}, {}}};
  CHECK(simulate(tasks, 2, {}) == approx(1.0 + 3.0));
  CHECK(simulate(tasks, 4, {}) == approx(1.0 + 2.0));  // two rounds: four chunks, then two
  CHECK(simulate(tasks, 6, {}) == approx(1.0 + 1.0));
  CHECK(simulate(tasks, 64, {}) == approx(1.0 + 1.0));
}

TEST_CASE("simulation: a serial task beside one with a loop leaves the loop to the other cores") {
  // The first core begins the loop's task, the second the serial one; a third helps with the loop.
  const std::vector<SimulatedTask> tasks = {{0.0, {{8, 8.0}}, {}}, {4.0, {}, {}}};
  CHECK(simulate(tasks, 2, {}) == approx(6.0));  // after 4 s the loop has 4 chunks left, shared by two
  CHECK(simulate(tasks, 3, {}) == approx(4.0));
}

TEST_CASE("simulation: overhead is paid by chunk and by loop, but not for a loop of one chunk") {
  const Overhead overhead{.chunk_seconds = 0.5, .loop_seconds = 2.0};
  CHECK(simulate({{0.0, {{1, 3.0}}, {}}}, 2, overhead) == approx(3.0));
  // two chunks of 1.5 on two cores; the first taken pays for the loop
  CHECK(simulate({{0.0, {{2, 3.0}}, {}}}, 2, overhead) == approx(1.5 + 0.5 + 2.0));
}

TEST_CASE("simulation: in order, nothing runs side by side, but loops are still shared") {
  const std::vector<SimulatedTask> tasks = {{1.0, {}, {}}, {1.0, {{2, 2.0}}, {}}, {1.0, {}, {}}};
  CHECK(simulate(tasks, 2, {}) < 5.0);
  CHECK(simulate(in_order(tasks), 1, {}) == approx(5.0));
  CHECK(simulate(in_order(tasks), 2, {}) == approx(4.0));
}

}  // namespace
}  // namespace inkling::bench
