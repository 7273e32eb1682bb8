// The parallelism of the graph: backward on all threads compared with backward in order, measured on this
// machine and simulated on more cores.
#include <chrono>
#include <iomanip>
#include <iostream>

#include "bench/harness.h"
#include "bench/models.h"
#include "bench/rows.h"
#include "bench/schedule_simulation.h"
#include "bench/training_step.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling::bench {

namespace {

using json = nlohmann::ordered_json;

double seconds_of(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void work_for(double seconds) {
  const auto start = std::chrono::steady_clock::now();
  while (std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() < seconds) {
  }
}

// The overhead of a loop on all threads: the time of an empty chunk, and the additional time of a loop with
// four chunks for each thread.
Overhead measure_overhead() {
  constexpr std::int64_t kChunks = 20'000, kEach = 4, kLoops = 200;
  constexpr double kWork = 20e-6;
  std::vector<double> chunk, loop;
  for (int round = 0; round < 9; ++round) {
    chunk.push_back(seconds_of([&] { parallel_chunks(kChunks, [](std::int64_t) {}); }) * threads() / kChunks);
    const double loops = seconds_of([&] {
      for (std::int64_t i = 0; i < kLoops; ++i)
        parallel_chunks(kEach * threads(), [](std::int64_t) { work_for(kWork); });
    });
    loop.push_back(std::max(0.0, loops / kLoops - kEach * kWork));
  }
  return {median(chunk), median(loop)};
}

// A step's tasks in the order in which one thread ran them. The tasks before backward form a chain, and so do
// the tasks after backward.
std::vector<SimulatedTask> tasks_of(const ProfileStep& step, const Graph& graph) {
  std::vector<SimulatedTask> tasks;
  std::vector<std::size_t> task_of_node(graph.node_count());
  for (const ProfileEvent& event : step.events) {
    if (event.node >= 0) task_of_node[static_cast<std::size_t>(event.node)] = tasks.size();
    SimulatedTask& task = tasks.emplace_back();
    task.serial_seconds = static_cast<double>(event.end_ns - event.begin_ns) * 1e-9;
    for (std::size_t l = event.first_loop; l < event.first_loop + event.loops; ++l) {
      const double seconds = static_cast<double>(step.loops[l].ns) * 1e-9;
      task.loops.push_back({step.loops[l].chunks, seconds});
      task.serial_seconds = std::max(0.0, task.serial_seconds - seconds);
    }
  }
  std::vector<std::size_t> before, nodes;  // the tasks that the next task of a chain waits for
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const std::int32_t node = step.events[t].node;
    if (node < 0) {
      for (const std::size_t b : nodes.empty() ? before : nodes) tasks[b].successors.push_back(t);
      nodes.clear();
      before = {t};
    } else {
      for (const std::size_t b : before) tasks[b].successors.push_back(t);
      nodes.push_back(t);
      graph.plan().for_each_successor(node, [&](std::int32_t s) {
        tasks[t].successors.push_back(task_of_node[static_cast<std::size_t>(s)]);
      });
    }
  }
  return tasks;
}

// Records some steps and returns the shortest, because other work on the machine disturbed it least.
std::vector<SimulatedTask> record(TrainingStep& training) {
  const int all = threads();
  set_threads(1);
  Profile profile(Profile::Loops::on);
  training.profile_into(&profile);
  std::vector<SimulatedTask> best;
  std::int64_t best_ns = 0;
  for (int number = 0; number < 4; ++number) {  // the first is a warm-up
    profile.begin_step(number);
    training.run(Schedule::serial);
    const ProfileStep& step = profile.end_step();
    const std::int64_t ns = step.end_ns - step.begin_ns;
    if (number == 0 || (best_ns != 0 && ns >= best_ns)) continue;
    best_ns = ns;
    best = tasks_of(step, training.graph());
  }
  training.profile_into(nullptr);
  set_threads(all);
  return best;
}

json measure_here(TrainingStep& training) {
  std::vector<double> graph, serial, ratio;
  for (int round = 0; round < 9; ++round) {
    training.run();
    graph.push_back(seconds_of([&] { training.run(); }));
    training.run(Schedule::serial);
    serial.push_back(seconds_of([&] { training.run(Schedule::serial); }));
    ratio.push_back(serial.back() / graph.back());
  }
  std::cout << "  measured on " << threads() << " threads: as a graph " << std::fixed << std::setprecision(1)
            << median(graph) * 1e3 << " ms, in order " << median(serial) * 1e3 << " ms, gain "
            << std::setprecision(3) << median(ratio) << "\n";
  return {{"threads", threads()},
          {"graph_ms", median(graph) * 1e3},
          {"in_order_ms", median(serial) * 1e3},
          {"gain", median(ratio)}};
}

json run_section(const std::string& name, const GPT2Config& config, std::int64_t B, std::int64_t T,
                 Precision precision) {
  std::cout << "\n"
            << name
            << ": one step, backward as a graph (dW beside dX) and in order (one node after the other)\n";
  TrainingStep training(config, B, T, precision);
  json result = {{"measured", measure_here(training)}};
  const Overhead overhead = measure_overhead();
  const std::vector<SimulatedTask> graph = record(training), chain = in_order(graph);
  std::cout << "  simulated from " << graph.size()
            << " tasks recorded on one thread, their loops cut into their chunks; a chunk "
            << "costs " << std::setprecision(2) << overhead.chunk_seconds * 1e6 << " us more, a loop "
            << overhead.loop_seconds * 1e6 << " us;\n"
            << "  no contention for memory or caches: what the graph allows, not what a machine would reach\n"
            << "  cores      graph ms   speed-up   in order ms   speed-up   gain\n";
  const double alone = simulate(graph, 1, {});
  json& table = result["simulated"] = json::array();
  for (const std::int64_t cores : {1, 2, 4, 8, 16, 64}) {
    const Overhead o = cores == 1 ? Overhead{} : overhead;  // one thread runs loops without TBB
    const double g = simulate(graph, cores, o), c = simulate(chain, cores, o);
    std::cout << "  " << std::right << std::setw(5) << cores << std::setprecision(1) << std::setw(14)
              << g * 1e3 << std::setprecision(2) << std::setw(11) << alone / g << std::setprecision(1)
              << std::setw(14) << c * 1e3 << std::setprecision(2) << std::setw(11) << alone / c
              << std::setprecision(3) << std::setw(7) << c / g << "\n";
    table.push_back({{"cores", cores}, {"graph_ms", g * 1e3}, {"in_order_ms", c * 1e3}, {"gain", c / g}});
  }
  std::cout << std::defaultfloat << std::flush;
  return result;
}

}  // namespace

void add_graph_sections() {
  const auto add = [](const std::string& model, const GPT2Config& config, std::int64_t B, std::int64_t T) {
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      const std::string name = str("graph/", model, "/B", B, "_T", T, "/", inkling::name(precision));
      add_section(name, [=] { return run_section(name, config, B, T, precision); });
    }
  };
  add("gpt2_124M", GPT2Config::named("gpt2:d12"), 4, 64);
  add("stories", story_model(), 8, 128);
}

}  // namespace inkling::bench
