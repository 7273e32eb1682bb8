// The graph: backward on many threads gives the same bits as the serial walk. The tests use random graphs and
// nodes that read a gradient slowly, and check that backward needs a bounded amount of memory.
#include "core/graph.h"

#include <atomic>

#include "core/parallel.h"
#include "core/tape.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// ---- A random graph: made from a seed, run on a tape, and recomputed in double ----

// A part of an earlier value: the elements begin .. begin+count-1.
struct Input {
  std::size_t value;
  std::int64_t begin, count;
  float weight;
};

// y_j = sum_i w_i x_i[j mod n_i] + 0.1 x_first[j mod n] x_last[j mod n], and a second output z, which is
// twice the weighted sum. The last input is always a leaf. Otherwise repeated products would soon overflow.
struct RandomOp {
  std::vector<Input> inputs;
  std::size_t output, second;
  bool split;  // records one node for each input, like matmul; if false, one node for all inputs
};

constexpr std::size_t kLeafCount = 6;

enum class Kind { computed, constant, overwritten, accumulated };

struct Value {
  std::int64_t n;
  Kind kind;
};

struct RandomGraph {
  std::vector<Value> values;
  std::vector<RandomOp> ops;
  std::vector<Input> loss;  // the loss is the weighted sum of all elements of these inputs

  explicit RandomGraph(std::uint64_t seed) {
    Rng rng(seed, 3);
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(rng.below(n)); };
    // Few different sizes, so that the graph often finds a free gradient buffer of the right size.
    constexpr std::int64_t kSizes[] = {16, 24, 40};
    constexpr Kind kLeaves[] = {Kind::constant, Kind::overwritten, Kind::overwritten, Kind::accumulated};
    for (std::size_t i = 0; i < kLeafCount; ++i)
      values.push_back({kSizes[below(3)], i < 2 ? kLeaves[i + 1] : kLeaves[below(4)]});
    const auto input = [&](std::size_t value) {
      Input in{value, 0, values[value].n, static_cast<float>(0.6 * rng.normal())};
      if (below(4) == 0) {
        in.begin = static_cast<std::int64_t>(below(8));
        in.count = 1 + static_cast<std::int64_t>(below(static_cast<std::size_t>(in.count - in.begin)));
      }
      return in;
    };
    const auto recent = [&] { return below(3) == 0 ? below(values.size()) : values.size() - 1 - below(4); };
    const std::size_t op_count = 5 + below(40);
    for (std::size_t i = 0; i < op_count; ++i) {
      RandomOp op;
      const std::size_t computed_inputs = 1 + below(2);
      for (std::size_t k = 0; k < computed_inputs; ++k) op.inputs.push_back(input(recent()));
      op.inputs.push_back(input(below(kLeafCount)));
      op.split = below(2) == 0;
      op.output = values.size();
      values.push_back({kSizes[below(3)], Kind::computed});
      op.second = values.size();
      values.push_back({kSizes[below(3)], Kind::computed});
      ops.push_back(op);
    }
    for (std::size_t k = 0; k < 1 + below(3); ++k) loss.push_back(input(recent()));
  }
};

// Keeps this thread busy for a short time. It does not read the clock and does not yield the core. On a busy
// core, yielding would take milliseconds.
void spin() {
  constexpr int kTurns = 20000;
  for (volatile int turn = 0; turn < kTurns;) turn = turn + 1;
}

// Waits in some nodes. If the graph reuses a buffer too early, a slow reader of this buffer gets wrong
// numbers.
void wait_in_some_steps(std::size_t step) {
  if (step % 7 == 3) spin();
}

Tensor view(const std::vector<Tensor>& tensors, const Input& in) {
  return tensors[in.value].slice(0, in.begin, in.begin + in.count);
}

// Stands for all inputs of an op.
constexpr std::size_t kAll = 99;

struct Operands {
  Tensor x[3];
  float weight[3];
  std::size_t count;
};

// Adds to the gradient of input `only` (or of every input, for kAll). dy and dz are the gradients of the op's
// two outputs.
void add_gradients(Gradients& gradients, const Operands& in, Tensor y, Tensor z, std::size_t only,
                   std::size_t step) {
  const float* dy = y.has_gradient() ? gradients.of(y) : nullptr;
  const float* dz = z.has_gradient() ? gradients.of(z) : nullptr;
  for (std::size_t i = 0; i < in.count; ++i) {
    if ((only != kAll && only != i) || !in.x[i].has_gradient()) continue;
    const GradientTarget target = gradients.target(in.x[i]);
    const std::int64_t n = in.x[i].numel();
    if (!target.accumulate) std::fill(target.data, target.data + n, 0.0f);
    wait_in_some_steps(step + i);
    const Tensor &first = in.x[0], &last = in.x[in.count - 1];
    for (std::int64_t j = 0; j < y.numel(); ++j) {
      float d = in.weight[i];
      if (i == 0) d += 0.1f * last.f32()[j % last.numel()];
      if (i == in.count - 1) d += 0.1f * first.f32()[j % first.numel()];
      target.data[j % n] += d * dy[j];
    }
    for (std::int64_t j = 0; j < z.numel(); ++j) target.data[j % n] += 2 * in.weight[i] * dz[j];
  }
}

void run_op(Tape& tape, const RandomGraph& graph, const RandomOp& op, std::vector<Tensor>& tensors,
            std::size_t step) {
  Operands in{};
  for (const Input& input : op.inputs) {
    in.weight[in.count] = input.weight;
    in.x[in.count++] = view(tensors, input);
  }
  const Tensor y = tape.output({graph.values[op.output].n}, {in.x[0], in.x[1], in.x[2]});
  const Tensor z = tape.output({graph.values[op.second].n}, {in.x[0], in.x[1], in.x[2]});
  const auto weighted_sum = [&](std::int64_t j) {
    float total = 0;
    for (std::size_t i = 0; i < in.count; ++i) total += in.weight[i] * in.x[i].f32()[j % in.x[i].numel()];
    return total;
  };
  const Tensor &first = in.x[0], &last = in.x[in.count - 1];
  for (std::int64_t j = 0; j < y.numel(); ++j) {
    y.f32()[j] = weighted_sum(j) + 0.1f * first.f32()[j % first.numel()] * last.f32()[j % last.numel()];
  }
  for (std::int64_t j = 0; j < z.numel(); ++j) z.f32()[j] = 2 * weighted_sum(j);
  tensors.push_back(y);
  tensors.push_back(z);
  for (std::size_t only = op.split ? 0 : kAll; only == kAll || only < in.count; ++only) {
    const auto backward = [=](Gradients& gradients) { add_gradients(gradients, in, y, z, only, step); };
    if (only == kAll) {
      tape.record("op", {y, z}, {in.x[0], in.x[1], in.x[2]}, backward);
      break;
    }
    tape.record("op", {y, z}, {in.x[only]}, backward);
  }
}

std::vector<std::vector<float>> initial_values(const RandomGraph& graph, std::uint64_t seed) {
  std::vector<std::vector<float>> values;
  for (std::size_t v = 0; v < graph.values.size() && graph.values[v].kind != Kind::computed; ++v) {
    values.push_back(random_floats(graph.values[v].n, seed + v));
  }
  return values;
}

// The leaves' gradients from backward() with the given schedule.
std::vector<std::vector<float>> gradients_on_tape(const RandomGraph& graph, Tape& tape, Schedule schedule) {
  std::vector<std::vector<float>> values = initial_values(graph, 11), gradients;
  // Accumulating leaves start from 0.25.
  for (const auto& v : values) gradients.emplace_back(v.size(), 0.25f);
  std::vector<Tensor> tensors;
  for (std::size_t v = 0; v < values.size(); ++v) {
    const Kind kind = graph.values[v].kind;
    tensors.push_back(tape.leaf(
        values[v].data(), kind == Kind::constant ? nullptr : gradients[v].data(), {graph.values[v].n},
        kind == Kind::accumulated ? LeafGradient::accumulate : LeafGradient::overwrite));
  }
  for (std::size_t o = 0; o < graph.ops.size(); ++o) run_op(tape, graph, graph.ops[o], tensors, o);
  Operands in{};
  for (const Input& input : graph.loss) {
    in.weight[in.count] = input.weight;
    in.x[in.count++] = view(tensors, input);
  }
  const Tensor loss = tape.output({}, {in.x[0], in.x[1], in.x[2]});
  *loss.f32() = 0;
  tape.record("loss", {loss}, {in.x[0], in.x[1], in.x[2]}, [=](Gradients& g) {
    const float seed = *g.of(loss);
    for (std::size_t i = 0; i < in.count; ++i) {
      if (!in.x[i].has_gradient()) continue;
      float* dx = g.sum_into(in.x[i]);
      for (std::int64_t j = 0; j < in.x[i].numel(); ++j) dx[j] += seed * in.weight[i];
    }
  });
  if (!loss.has_gradient()) {
    gradients.clear();
  } else {
    tape.set_schedule(schedule);
    tape.backward(loss, 0.5f);
  }
  tape.clear();
  return gradients;
}

// The leaves' gradients, computed by the chain rule in double. Each gradient has its own memory. It starts at
// zero, or at 0.25 for an accumulating leaf.
std::vector<std::vector<double>> gradients_in_double(const RandomGraph& graph) {
  std::vector<std::vector<double>> x, dx;
  for (const auto& v : initial_values(graph, 11)) x.push_back(as_doubles(v));
  for (std::size_t v = 0; v < graph.values.size(); ++v) {
    if (v >= x.size()) x.emplace_back(static_cast<std::size_t>(graph.values[v].n));
    dx.emplace_back(x[v].size(), graph.values[v].kind == Kind::accumulated ? 0.25 : 0.0);
  }
  const auto place = [](const Input& in, std::size_t j) {
    return static_cast<std::size_t>(in.begin + static_cast<std::int64_t>(j) % in.count);
  };
  for (const RandomOp& op : graph.ops) {
    const Input &first = op.inputs.front(), &last = op.inputs.back();
    for (std::size_t out : {op.output, op.second}) {
      for (std::size_t j = 0; j < x[out].size(); ++j) {
        for (const Input& in : op.inputs)
          x[out][j] += static_cast<double>(in.weight) * x[in.value][place(in, j)];
        if (out == op.second) x[out][j] *= 2;
        if (out == op.output)
          x[out][j] += 0.1 * x[first.value][place(first, j)] * x[last.value][place(last, j)];
      }
    }
  }
  for (const Input& in : graph.loss) {
    for (std::size_t j = 0; j < static_cast<std::size_t>(in.count); ++j) {
      dx[in.value][place(in, j)] += 0.5 * static_cast<double>(in.weight);
    }
  }
  for (std::size_t o = graph.ops.size(); o-- > 0;) {
    const RandomOp& op = graph.ops[o];
    const Input &first = op.inputs.front(), &last = op.inputs.back();
    for (std::size_t j = 0; j < x[op.output].size(); ++j) {
      const double dy = dx[op.output][j];
      for (const Input& in : op.inputs) dx[in.value][place(in, j)] += static_cast<double>(in.weight) * dy;
      dx[first.value][place(first, j)] += 0.1 * dy * x[last.value][place(last, j)];
      dx[last.value][place(last, j)] += 0.1 * dy * x[first.value][place(first, j)];
    }
    for (std::size_t j = 0; j < x[op.second].size(); ++j) {
      for (const Input& in : op.inputs) {
        dx[in.value][place(in, j)] += 2 * static_cast<double>(in.weight) * dx[op.second][j];
      }
    }
  }
  return dx;
}

TEST_CASE(
    "graph: on random graphs, 1, 2 and 4 threads give the serial walk's bits, close to double arithmetic") {
  constexpr std::uint64_t kSeeds = 300;
  // One tape for all graphs: if a step leaves anything behind, the next step gives wrong gradients.
  Tape tape;
  std::vector<std::vector<std::vector<float>>> serials;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    serials.push_back(gradients_on_tape(RandomGraph(seed), tape, Schedule::serial));
  }
  // Sets the number of threads three times and not for every graph. Otherwise TBB, on one busy core, looks
  // for work in hundreds of old arenas, which takes a minute.
  const RestoreThreads restore;
  for (int count : {1, 2, 4}) {
    set_threads(count);
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
      INFO("seed " << seed << ", " << count << " threads");
      const bool same_bits = gradients_on_tape(RandomGraph(seed), tape, Schedule::tbb) == serials[seed];
      REQUIRE(same_bits);
    }
  }
  std::size_t compared = 0;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    INFO("seed " << seed);
    const RandomGraph graph(seed);
    const auto& serial = serials[seed];
    if (serial.empty()) continue;
    const auto exact = gradients_in_double(graph);
    for (std::size_t v = 0; v < serial.size(); ++v) {
      if (graph.values[v].kind == Kind::constant) continue;
      // Rounding errors are relative to the size of the added terms. The largest gradient stands for this
      // size.
      double scale = 1;
      for (double d : exact[v]) scale = std::max(scale, std::abs(d));
      check_close("gradient", std::span<const float>(serial[v]), std::span<const double>(exact[v]),
                  {1e-4 * scale, 0});
      ++compared;
    }
  }
  CHECK(compared > 800);
}

// ---- Reuse of gradient buffers ----

enum class Readers { quick, slow };

// Waits until `count` no longer increases. Threads of any speed may increase it.
void wait_while_it_rises(const std::atomic<int>& count) {
  for (int before = -1; before != count;) {
    before = count;
    spin();
  }
}

// h_{i+1} = w_i h_i, recorded like matmul: the node dW comes first on the tape, so backward runs dX before
// dW. A slow dW gets the address of dy, then waits while the dX of the layers below continue, and only then
// reads dy.
Tensor chain(Tape& tape, Tensor h, const std::vector<Tensor>& weights, Readers readers,
             std::atomic<int>& dx_done) {
  for (const Tensor& w : weights) {
    const Tensor y = tape.output(h.shape(), {h, w});
    const std::int64_t n = y.numel();
    for (std::int64_t j = 0; j < n; ++j) y.f32()[j] = w.f32()[j] * h.f32()[j];
    tape.record("dW", {y}, {w}, [=, &dx_done](Gradients& g) {
      const float* dy = g.of(y);
      if (readers == Readers::slow) wait_while_it_rises(dx_done);
      float* dw = g.sum_into(w);
      for (std::int64_t j = 0; j < n; ++j) dw[j] += dy[j] * h.f32()[j];
    });
    tape.record("dX", {y}, {h}, [=, &dx_done](Gradients& g) {
      const float* dy = g.of(y);
      const GradientTarget dh = g.target(h);
      for (std::int64_t j = 0; j < n; ++j)
        dh.data[j] = (dh.accumulate ? dh.data[j] : 0.0f) + w.f32()[j] * dy[j];
      ++dx_done;
    });
    h = y;
  }
  return h;
}

struct ChainResult {
  std::vector<float> gradients;
  std::size_t backward_bytes;
};

ChainResult run_chain(std::int64_t layers, std::int64_t n, Readers readers, Schedule schedule) {
  std::vector<float> x = random_floats(n, 1), w = random_floats(layers * n, 2), dx(x.size()),
                     dw(w.size(), NAN);
  for (float& v : w) v = 1.0f + 0.1f * v;  // near 1, so that a long product neither underflows nor overflows
  const std::vector<float> dy = random_floats(n, 3);
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {n}, LeafGradient::overwrite);
  std::vector<Tensor> weights;
  for (std::int64_t l = 0; l < layers; ++l) {
    weights.push_back(tape.leaf(w.data() + l * n, dw.data() + l * n, {n}, LeafGradient::overwrite));
  }
  std::atomic<int> dx_done{0};
  const Tensor loss = dot(tape, chain(tape, X, weights, readers, dx_done), dy.data());
  const std::size_t before = tape.peak_bytes();
  tape.set_schedule(schedule);
  tape.backward(loss);
  dw.insert(dw.end(), dx.begin(), dx.end());
  return {dw, tape.peak_bytes() - before};
}

TEST_CASE("graph: a gradient buffer is not reused while a slow node still reads it") {
  const RestoreThreads restore;
  set_threads(4);
  const ChainResult want = run_chain(60, 64, Readers::quick, Schedule::serial);
  CHECK(std::none_of(want.gradients.begin(), want.gradients.end(), [](float g) { return std::isnan(g); }));
  for (int repeat = 0; repeat < 5; ++repeat)
    CHECK(run_chain(60, 64, Readers::slow, Schedule::tbb).gradients == want.gradients);
}

TEST_CASE("graph: backward of a long chain needs the memory of a few gradients") {
  const std::int64_t n = 16384;
  const std::size_t one = static_cast<std::size_t>(n) * sizeof(float);
  const auto gradients_of = [&](std::int64_t layers) {
    return run_chain(layers, n, Readers::quick, Schedule::tbb).backward_bytes / one;
  };
  // A layer's dy and dh are in use, and the two buffers that were freed last are not reused yet.
  for (const std::int64_t layers : {1, 2, 3, 4, 5, 10, 100}) {
    INFO(layers << " layers");
    CHECK(gradients_of(layers) == static_cast<std::size_t>(std::min<std::int64_t>(layers, 4)));
  }
}

}  // namespace
}  // namespace inkling
