// Single ops with GPT-2 124M's widths: forward, and for most of them forward with backward.
//
// Bytes are the least that must be moved: inputs are read once, outputs are written once. FLOPs of attention
// count only the causal half.
#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "bench/data.h"
#include "bench/harness.h"
#include "bench/models.h"
#include "bench/rows.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/tape.h"
#include "nn/gpt2.h"
#include "ops/attention/attention.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gather.h"
#include "ops/gelu.h"
#include "ops/kernels.h"
#include "ops/layernorm.h"
#include "ops/linear_cross_entropy.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/views.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "optim/sgd.h"

namespace inkling::bench {

namespace {

constexpr std::int64_t kRows = 4096, kC = 768, kV = 50257, kVp = 50304;
constexpr double kFloat = 4.0;

// Runs an op of one input. With `backward`, it also runs backward; the gradient of the output is then a
// constant, from a node that writes it.
void run_unary(Tape& tape, const Floats& x, const Floats& dx, Shape shape, bool backward,
               const std::function<Tensor(Tape&, Tensor)>& op) {
  tape.clear();
  const Tensor input =
      backward ? tape.leaf(x.data(), dx.data(), shape, LeafGradient::overwrite) : Tensor(x.data(), shape);
  const Tensor y = op(tape, input);
  if (!backward) return;
  const Tensor loss = tape.output({}, {y});
  const float* dy = x.data();  // any numbers are good enough
  tape.record("seed", {loss}, {y}, [=](Gradients& g) {
    if (y.dtype() == DType::bf16) {
      kernels().narrow(g.target<bf16>(y).data, dy, y.numel());
    } else {
      std::copy(dy, dy + y.numel(), g.target(y).data);
    }
  });
  tape.backward(loss);
}

// How many times memory of the input's size is moved. The first node reads floats and writes the gradient of
// the output.
struct Passes {
  double forward, backward, seed = 2;
};

void add_unary(const std::string& name, Shape shape, const Passes& passes,
               const std::function<Tensor(Tape&, Tensor)>& op) {
  const double size = kFloat * static_cast<double>(shape.numel());
  for (const bool backward : {false, true}) {
    const double moved = passes.forward + (backward ? passes.seed + passes.backward : 0);
    add_row(name + (backward ? "/forward+backward" : "/forward"), {.bytes = moved * size}, [=] {
      const Floats x(shape.numel(), 1, 2.0f), dx(shape.numel(), 2);
      const auto tape = std::make_shared<Tape>(backward ? Recording::on : Recording::off);
      return Candidates{[=] { run_unary(*tape, x, dx, shape, backward, op); }, {}};
    });
  }
}

// qkv is the tape's first tensor, so it has the same memory in each call and is filled only once.
template <class Real>
void run_attention(Tape& tape, const Numbers<Real>& x, const void*& filled, Shape shape, std::int64_t heads) {
  tape.clear();
  float nothing = 0.0f, gradient = 0.0f;
  const Tensor leaf = tape.leaf(&nothing, &gradient, {}, LeafGradient::overwrite);
  const Tensor qkv = tape.output(shape, {leaf}, dtype_of<Real>);
  if (std::exchange(filled, qkv.raw()) != qkv.raw())
    std::copy(x.data(), x.data() + shape.numel(), qkv.data<Real>());
  tape.record("qkv", {qkv}, {leaf}, [=](Gradients& g) { *g.target(leaf).data = 0.0f; });
  const Tensor y = attention(tape, qkv, heads);
  if (!y.has_gradient()) return;
  const Tensor loss = tape.output({}, {y});
  const Real* dy = qkv.data<Real>();  // any numbers are good enough
  tape.record("seed", {loss}, {y},
              [=](Gradients& g) { std::copy(dy, dy + y.numel(), g.target<Real>(y).data); });
  tape.backward(loss);
}

template <class Real>
void add_attention(std::int64_t B, std::int64_t T, std::int64_t heads, std::int64_t C) {
  // Forward has two products, QK^T and PV, backward has five. Each is T^2/2 C multiply-adds for each
  // sequence, and a multiply-add is two FLOPs.
  const double product =
      static_cast<double>(B) * static_cast<double>(T) * static_cast<double>(T) * static_cast<double>(C);
  const Shape shape{B, T, 3 * C};
  for (const bool backward : {false, true}) {
    add_row(str("attention/", name(dtype_of<Real>), "/B", B, "_T", T, "_NH", heads, "_HS", C / heads,
                backward ? "/forward+backward" : "/forward"),
            {.flops = product * (backward ? 7.0 : 2.0), .bf16 = std::is_same_v<Real, bf16>}, [=] {
              const Numbers<Real> x(shape.numel(), 1, 1.0f);
              const auto tape = std::make_shared<Tape>(backward ? Recording::on : Recording::off);
              const auto filled = std::make_shared<const void*>(nullptr);
              return Candidates{[=] { run_attention(*tape, x, *filled, shape, heads); }, {}};
            });
  }
}

// For each token, embedding reads a row of wte and of wpe and writes their sum; gather copies a row.
void add_lookups() {
  const std::int64_t B = 4, T = 1024, N = B * T;
  const auto ids = std::make_shared<std::vector<std::int32_t>>();
  for (std::int64_t i = 0; i < N; ++i) ids->push_back(static_cast<std::int32_t>(i * 7919 % kV));
  const double bytes = kFloat * static_cast<double>(N * kC);
  add_row("embedding/B4_T1024_C768/forward", {.bytes = 3 * bytes}, [=] {
    const Floats wte(kVp * kC, 1), wpe(T * kC, 2);
    const auto tape = std::make_shared<Tape>(Recording::off);
    return Candidates{[=] {
                        tape->clear();
                        embedding(*tape, Tensor(wte.data(), {kVp, kC}), Tensor(wpe.data(), {T, kC}),
                                  Tensor(ids->data(), {B, T}), kV);
                      },
                      {}};
  });
  add_row("gather/4096_of_50304x768/forward", {.bytes = 2 * bytes}, [=] {
    const Floats table(kVp * kC, 1);
    const auto tape = std::make_shared<Tape>(Recording::off);
    return Candidates{[=] {
                        tape->clear();
                        gather(*tape, Tensor(table.data(), {kVp, kC}), Tensor(ids->data(), {N}));
                      },
                      {}};
  });
}

// matmul for a batch of matrices, where an operand is a transposed view.
void add_matmul() {
  const std::int64_t B = 48, T = 256, HS = 64;
  add_row("matmul/48x256x64x256/forward", {.flops = 2.0 * static_cast<double>(B * T * HS * T)}, [=] {
    const Floats a(B * T * HS, 1), b(B * T * HS, 2);
    const auto tape = std::make_shared<Tape>(Recording::off);
    return Candidates{
        [=] {
          tape->clear();
          matmul(*tape, Tensor(a.data(), {B, T, HS}), Tensor(b.data(), {B, T, HS}).transpose(1, 2));
        },
        {}};
  });
}

// Ops on bf16. A leaf is never bf16, so the backward kernel runs alone, in the op's chunks.
void add_bf16() {
  const std::int64_t n = kRows * 4 * kC, chunk = 1 << 14, columns = 256;
  const double bytes = sizeof(bf16) * static_cast<double>(n);
  add_row("gelu_bf16/4096x3072/forward", {.bytes = 2 * bytes}, [=] {
    const Bf16s x(n, 1, 2.0f);
    const auto tape = std::make_shared<Tape>(Recording::off);
    return Candidates{[=] {
                        tape->clear();
                        gelu(*tape, Tensor(x.data(), {kRows, 4 * kC}));
                      },
                      {}};
  });
  add_row("gelu_bf16/4096x3072/backward", {.bytes = 3 * bytes}, [=] {
    const Bf16s x(n, 1, 2.0f), dy(n, 2), dx(n, 3);
    return Candidates{[=] {
                        parallel_for(n, chunk, [&](std::int64_t begin, std::int64_t end) {
                          kernels().of<bf16>().gelu_backward(dx.data() + begin, dy.data() + begin,
                                                             x.data() + begin, end - begin, false);
                        });
                      },
                      {}};
  });
  add_row("sum_columns_bf16/4096x3072", {.bytes = bytes, .reads_only = true}, [=] {
    const Bf16s x(n, 1);
    const Floats sums(4 * kC);
    return Candidates{[=] {
                        parallel_for(4 * kC, columns, [&](std::int64_t begin, std::int64_t end) {
                          kernels().of<bf16>().sum_columns(sums.data() + begin, x.data() + begin, kRows,
                                                           end - begin, 4 * kC, 1.0f, false);
                        });
                      },
                      {}};
  });
}

// The loss of the head, with its gradient in place of the logits, in f32 or bf16. Each call reads the result
// of the previous call as logits. With bf16, the first half of a row then holds pairs of bf16 below 1, which
// are read as floats. These numbers have no meaning, but they are never NaN.
template <class T>  // the type of the gradient
void add_in_place(const char* name, double bytes_an_element) {
  const std::int64_t rows = 256;
  add_row(str(name, "/rows256_V50257"), {.bytes = bytes_an_element * static_cast<double>(rows * kVp)}, [=] {
    const Floats x(rows * kVp, 1, 2.0f), losses(rows);
    const auto ids = std::make_shared<std::vector<std::int32_t>>();
    for (std::int64_t r = 0; r < rows; ++r) ids->push_back(static_cast<std::int32_t>(r * 193 % kV));
    return Candidates{[=] {
                        parallel_chunks(rows, [&](std::int64_t r) {
                          kernels().of<T>().cross_entropy_in_place(losses.data() + r, x.data() + r * kVp,
                                                                   1.0f / 256, {ids->data() + r, 1, kV, kVp});
                        });
                      },
                      {}};
  });
}

void add_heads() {
  const std::int64_t rows = 256;
  add_in_place<float>("cross_entropy_in_place", 8);
  add_in_place<bf16>("cross_entropy_in_place_bf16", 6);
  std::vector<std::int32_t> targets;
  for (std::int64_t r = 0; r < rows; ++r) targets.push_back(static_cast<std::int32_t>(r * 193 % kV));
  // reads the logits twice, writes their gradient
  add_row("cross_entropy/rows256_V50257/forward+backward",
          {.bytes = 3 * kFloat * static_cast<double>(rows * kVp)}, [=] {
            const Floats x(rows * kVp, 1, 2.0f), dx(rows * kVp, 2);
            const auto tape = std::make_shared<Tape>();
            const auto ids = std::make_shared<std::vector<std::int32_t>>(targets);
            return Candidates{
                [=] {
                  tape->clear();
                  const Tensor logits = tape->leaf(x.data(), dx.data(), {rows, kVp}, LeafGradient::overwrite);
                  tape->backward(cross_entropy(*tape, logits, Tensor(ids->data(), {rows}), kV));
                },
                {}};
          });
  add_row("linear_cross_entropy/rows256_C768_V50257", {.flops = 6.0 * static_cast<double>(rows) * kC * kVp},
          [=] {
            const Floats x(rows * kC, 1), dx(rows * kC, 2), w(kVp * kC, 3), dw(kVp * kC, 4);
            const auto tape = std::make_shared<Tape>();
            const auto ids = std::make_shared<std::vector<std::int32_t>>(targets);
            return Candidates{
                [=] {
                  tape->clear();
                  const Tensor h = tape->leaf(x.data(), dx.data(), {1, rows, kC}, LeafGradient::overwrite);
                  const Tensor wte = tape->leaf(w.data(), dw.data(), {kVp, kC}, LeafGradient::overwrite);
                  tape->backward(linear_cross_entropy(*tape, h, wte, Tensor(ids->data(), {1, rows}), kV));
                },
                {}};
          });
}

void add_optimizers() {
  const std::int64_t n = std::int64_t{32} << 20;
  const std::vector<ParameterSegment> segments = {{0, n, true, "all"}};
  const auto add = [&](const char* name, double bytes, auto make) {
    add_row(str("optimizer/", name, "/32M"), {.bytes = bytes * static_cast<double>(n)}, [=] {
      const Floats w(n, 1), g(n, 2);
      const auto optimizer = make(segments);
      const auto step = std::make_shared<std::int64_t>(0);
      return Candidates{[=] { optimizer->step(w.data(), g.data(), ++*step, 1e-4f, 1.0f); }, {}};
    });
  };
  add("adamw", 28, [](const auto& s) { return std::make_shared<AdamW>(s, AdamWSettings{}); });
  add("sgd", 20, [](const auto& s) { return std::make_shared<Sgd>(s, SgdSettings{}); });
  // The update of a whole model: in f32, and with both packed bf16 copies of each matrix.
  for (const bool packing : {false, true}) {
    const GPT2Config config = GPT2Config::named("gpt2:d12");
    const auto weights = static_cast<double>(config.parameter_count());
    const auto packed =
        packing ? static_cast<double>(2 * sizeof(bf16)) * static_cast<double>(packed_weights(config)) : 0;
    add_row(packing ? "optimizer/adamw_packing/124M" : "optimizer/adamw/124M",
            {.bytes = 28 * weights + packed}, [=] {
              const auto model = std::make_shared<GPT2>(config);
              model->initialise(1);
              if (packing) model->set_precision(Precision::bf16, Recording::on);
              const auto optimizer =
                  std::make_shared<AdamW>(segments_of(model->parameters().table()), AdamWSettings{});
              const Floats g(model->parameters().count(), 2);
              const auto step = std::make_shared<std::int64_t>(0);
              return Candidates{[=] {
                                  optimizer->step(model->parameters().values().data(), g.data(), ++*step,
                                                  1e-4f, 1.0f, [&](std::int64_t offset, std::int64_t count) {
                                                    model->weights_changed(offset, count);
                                                  });
                                },
                                {}};
            });
  }
  add_row("optimizer/global_norm/32M", {.bytes = kFloat * static_cast<double>(n), .reads_only = true}, [=] {
    const Floats g(n, 2);
    return Candidates{[=] { keep(global_norm(g.data(), n)); }, {}};
  });
}

}  // namespace

void add_op_rows() {
  const Shape wide{kRows, 4 * kC}, narrow{kRows, kC};
  add_unary("gelu/4096x3072", wide, {2, 3}, [](Tape& t, Tensor x) { return gelu(t, x); });
  const Floats weight(kC, 5, 1.0f), bias(kC, 6, 1.0f);
  add_unary("layernorm/4096x768", narrow, {2, 3}, [=](Tape& t, Tensor x) {
    return layernorm(t, x, Tensor(weight.data(), {kC}), Tensor(bias.data(), {kC}));
  });
  // y and dy have half the size
  add_unary("layernorm_bf16/4096x768", narrow, {1.5, 2.5, 1.5}, [=](Tape& t, Tensor x) {
    return layernorm(t, x, Tensor(weight.data(), {kC}), Tensor(bias.data(), {kC}), DType::bf16);
  });
  add_bf16();
  add_unary("softmax/4096x768", narrow, {2, 3}, [](Tape& t, Tensor x) { return softmax(t, x); });
  // Only the first operand has a gradient. The gradient of a sum or a difference reads no operand.
  const Floats second(narrow.numel(), 7, 2.0f);
  const auto other = [=] { return Tensor(second.data(), narrow); };
  add_unary("add/4096x768", narrow, {3, 2}, [=](Tape& t, Tensor x) { return add(t, x, other()); });
  add_unary("mul/4096x768", narrow, {3, 3}, [=](Tape& t, Tensor x) { return mul(t, x, other()); });
  add_unary("sub/4096x768", narrow, {3, 2}, [=](Tape& t, Tensor x) { return sub(t, x, other()); });
  add_unary("div/4096x768", narrow, {3, 3}, [=](Tape& t, Tensor x) { return div(t, x, other()); });
  add_unary("log/4096x768", narrow, {2, 3}, [](Tape& t, Tensor x) { return log(t, x); });
  add_unary("exp/4096x768", narrow, {2, 3}, [](Tape& t, Tensor x) { return exp(t, x); });
  add_unary("tanh/4096x768", narrow, {2, 3}, [](Tape& t, Tensor x) { return tanh(t, x); });
  add_unary("relu/4096x768", narrow, {2, 3}, [](Tape& t, Tensor x) { return relu(t, x); });
  add_unary("transpose+contiguous/4096x768", narrow, {2, 2},
            [](Tape& t, Tensor x) { return contiguous(t, x.transpose(0, 1)); });
  // The output of a reduction and its gradient are small compared with the input.
  add_unary("sum_rows/4096x768", narrow, {1, 1, 0}, [](Tape& t, Tensor x) { return sum(t, x, 1); });
  add_unary("sum_columns/4096x768", narrow, {1, 1, 0}, [](Tape& t, Tensor x) { return sum(t, x, 0); });
  add_unary("mean/4096x768", narrow, {1, 1, 0}, [](Tape& t, Tensor x) { return mean(t, x); });
  add_unary("max_rows/4096x768", narrow, {1, 2, 0}, [](Tape& t, Tensor x) { return max(t, x, 1); });
  add_lookups();
  add_matmul();
  for (const auto& [B, T, heads, C] :
       {std::array{4, 64, 12, 768}, {4, 256, 12, 768}, {4, 1024, 12, 768}, {32, 128, 4, 128}}) {
    add_attention<float>(B, T, heads, C);
    add_attention<bf16>(B, T, heads, C);
  }
  add_heads();
  add_optimizers();
}

}  // namespace inkling::bench
