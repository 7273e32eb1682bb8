// Gradients add up. Every op is tested with a gradient for each choice of its inputs, used once and used
// twice. The gradient buffers hold nothing yet, or hold numbers that must be added to. The expected gradients
// come from central differences of the forward formula in double.
#include <cstring>
#include <functional>

#include "core/error.h"
#include "core/recompute.h"
#include "ops/attention/attention.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gather.h"
#include "ops/gelu.h"
#include "ops/layernorm.h"
#include "ops/linear.h"
#include "ops/linear_cross_entropy.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/views.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

using Values = std::vector<std::vector<double>>;

// The results are sums of a few dozen products of floats of size about 1.
constexpr Tolerance kFloat{1e-4, 1e-4};
// bf16 gradients are rounded once when they are computed and once when they are added. A missing or doubled
// term would change a gradient by about 1.
constexpr Tolerance kBf16{0.06, 0.03};

struct Argument {
  Shape shape;
  std::vector<float> values;
  DType dtype = DType::f32;
  bool only_as_leaf = false;  // the op writes the gradient of this table in its forward pass
};

Argument argument(Shape shape, std::uint64_t seed) {
  return {shape, random_bf16s(shape.numel(), seed)};
}
Argument positive(Shape shape, std::uint64_t seed) {
  Argument a = argument(shape, seed);
  for (float& v : a.values) v = 0.5f + std::abs(v);
  return a;
}
Argument in_bf16(Shape shape, std::uint64_t seed) {
  Argument a = argument(shape, seed);
  a.dtype = DType::bf16;
  return a;
}

struct Op {
  std::string name;
  std::vector<Argument> arguments;
  std::function<std::vector<double>(const Values&)> in_double;
  std::function<Tensor(Tape&, const std::vector<Tensor>&)> on_tape;
  Tolerance tolerance = kFloat;
};

// Where an argument's gradient goes. overwritten: to the buffer of a leaf, which holds NaN and must be
// overwritten. accumulated: to the buffer of a leaf, which holds 1 and must be added to. computed: to the
// result of another op. The memory of that gradient holds NaN at first.
enum class Into { overwritten, accumulated, computed };

// Returns the gradient J^T dy for each argument. The Jacobian J comes from central differences.
Values gradients_of(const Op& op, const std::vector<float>& dy) {
  constexpr double kStep = 1e-5;
  Values x, gradients;
  for (const Argument& a : op.arguments) x.push_back(as_doubles(a.values));
  for (std::vector<double>& values : x) {
    std::vector<double> gradient;
    for (double& v : values) {
      const double before = v;
      v = before + kStep;
      const double above = dot(op.in_double(x), as_doubles(dy));
      v = before - kStep;
      const double below = dot(op.in_double(x), as_doubles(dy));
      v = before;
      gradient.push_back((above - below) / (2 * kStep));
    }
    gradients.push_back(gradient);
  }
  return gradients;
}

Tensor copied(Tape& tape, const Tensor& x) {
  const Tensor y = tape.output(x.shape(), {x});
  std::copy_n(x.f32(), x.numel(), y.f32());
  tape.record("copied", {y}, {x}, [=](Gradients& gradients) {
    const float* dy = gradients.of(y);
    float* dx = gradients.sum_into(x);
    for (std::int64_t i = 0; i < x.numel(); ++i) dx[i] += dy[i];
  });
  return y;
}

Tensor total(Tape& tape, const Tensor& a, const Tensor& b) {
  const Tensor sum = tape.output({}, {a, b});
  *sum.f32() = a.item() + b.item();
  tape.record("total", {sum}, {a, b}, [=](Gradients& gradients) {
    for (const Tensor& t : {a, b}) {
      if (t.has_gradient()) *gradients.sum_into(t) += *gradients.of(sum);
    }
  });
  return sum;
}

// Runs the op once for each element of `dys` and checks the sum of the gradients. Bit i of `wanted` says
// whether argument i wants a gradient.
void check_use(const Op& op, const Values& want, unsigned wanted, Into into,
               const std::vector<std::vector<float>>& dys) {
  Tape tape;
  constexpr std::int64_t kDirty = 1 << 15;
  // Fill the tape's memory with NaN: 0xff bytes are a NaN in f32 and in bf16. A gradient that is not
  // initialised is then noticed.
  std::memset(tape.keep(kDirty), 0xff, kDirty * sizeof(float));
  tape.clear();
  std::vector<std::vector<float>> x, dx;
  std::vector<Tensor> tensors;
  for (const Argument& a : op.arguments) {
    x.push_back(a.values);
    dx.emplace_back(a.values.size(), into == Into::accumulated ? 1.0f : NAN);
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const Argument& a = op.arguments[i];
    const bool wants = (wanted >> i & 1u) != 0;
    Tensor t = tape.leaf(x[i].data(), wants ? dx[i].data() : nullptr, a.shape,
                         into == Into::accumulated ? LeafGradient::accumulate : LeafGradient::overwrite);
    if (into == Into::computed && !a.only_as_leaf) t = copied(tape, t);
    tensors.push_back(a.dtype == DType::bf16 ? narrowed(tape, t) : t);
  }
  Tensor loss;
  for (const std::vector<float>& dy : dys) {
    const Tensor y = op.on_tape(tape, tensors);
    REQUIRE(y.numel() == std::ssize(dy));
    const Tensor one = dot(tape, y, dy.data());
    loss = loss ? total(tape, loss, one) : one;
  }
  tape.backward(loss);
  for (std::size_t i = 0; i < dx.size(); ++i) {
    INFO("argument " << i);
    if ((wanted >> i & 1u) == 0) {
      CHECK(std::all_of(dx[i].begin(), dx[i].end(),
                        [&](float g) { return into == Into::accumulated ? g == 1.0f : std::isnan(g); }));
      continue;
    }
    std::vector<double> expected = want[i];
    for (double& g : expected) g += into == Into::accumulated ? 1 : 0;
    check_close("gradient", std::span<const float>(dx[i]), std::span<const double>(expected), op.tolerance);
  }
}

void check(const Op& op) {
  INFO(op.name);
  Values x;
  for (const Argument& a : op.arguments) x.push_back(as_doubles(a.values));
  const auto n = std::ssize(op.in_double(x));
  // If the result is a loss (one number), its gradient must be 1. Other results get random gradients that
  // bf16 can hold.
  const std::vector<float> one = n == 1 ? std::vector<float>{1} : random_bf16s(n, 101);
  const std::vector<float> other = n == 1 ? std::vector<float>{1} : random_bf16s(n, 102);
  const Values first = gradients_of(op, one), second = gradients_of(op, other);
  Values both = first;
  for (std::size_t i = 0; i < both.size(); ++i) {
    for (std::size_t j = 0; j < both[i].size(); ++j) both[i][j] += second[i][j];
  }
  const RestoreThreads restore;
  set_threads(1);
  for_each_isa([&] {
    for (unsigned wanted = 1; wanted < 1u << op.arguments.size(); ++wanted) {
      for (const Into into : {Into::overwritten, Into::accumulated, Into::computed}) {
        INFO("gradients wanted (bits): " << wanted << ", kind of buffer: " << static_cast<int>(into));
        check_use(op, first, wanted, into, {one});
        check_use(op, both, wanted, into, {one, other});
      }
    }
  });
}

// ---- Layers ----

std::vector<double> linear_in_double(const Values& x, std::size_t at, bool bias, std::int64_t M,
                                     std::int64_t IC, std::int64_t OC) {
  std::vector<double> y(static_cast<std::size_t>(M * OC));
  reference::linear_forward(y.data(), x[at].data(), x[at + 1].data(), bias ? x[at + 2].data() : nullptr, M,
                            IC, OC);
  return y;
}

constexpr std::int64_t kM = 5, kIC = 7, kOC = 6;

// The bf16 copies of a weight, packed for forward and for backward.
struct Packed {
  Pages forward, backward;

  Packed()
      : forward(static_cast<std::size_t>(packed_b_count(kOC, kIC)) * sizeof(bf16)),
        backward(static_cast<std::size_t>(packed_b_count(kIC, kOC)) * sizeof(bf16)) {}
  Weight of(const Tensor& values) const {
    auto *f = reinterpret_cast<bf16*>(forward.data()), *b = reinterpret_cast<bf16*>(backward.data());
    pack_weight_rows(f, b, values.f32(), kOC, kIC, 0, kOC);
    return {values, f, b};
  }
};

TEST_CASE("accumulation: the gradients of linear add up, with and without a bias") {
  const std::vector<Argument> arguments = {argument({kM, kIC}, 1), argument({kOC, kIC}, 2),
                                           argument({kOC}, 3)};
  check({"linear", arguments, [](const Values& x) { return linear_in_double(x, 0, true, kM, kIC, kOC); },
         [](Tape& t, const std::vector<Tensor>& x) { return linear(t, x[0], x[1], x[2]); }});
  check({"linear without a bias",
         {arguments[0], arguments[1]},
         [](const Values& x) { return linear_in_double(x, 0, false, kM, kIC, kOC); },
         [](Tape& t, const std::vector<Tensor>& x) { return linear(t, x[0], x[1], Tensor{}); }});
}

TEST_CASE("accumulation: the gradients of linear_add add up, and the residual gets the gradient unchanged") {
  check({"linear_add",
         {argument({kM, kOC}, 4), argument({kM, kIC}, 1), argument({kOC, kIC}, 2), argument({kOC}, 3)},
         [](const Values& x) {
           std::vector<double> y = linear_in_double(x, 1, true, kM, kIC, kOC);
           for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[0][i];
           return y;
         },
         [](Tape& t, const std::vector<Tensor>& x) { return linear_add(t, x[0], x[1], x[2], x[3]); }});
}

TEST_CASE("accumulation: the gradients of linear and linear_add add up in bf16") {
  const Argument x16 = in_bf16({kM, kIC}, 1), x32 = argument({kM, kIC}, 1), w = argument({kOC, kIC}, 2),
                 b = argument({kOC}, 3), r = argument({kM, kOC}, 4);
  const Packed packed;
  const auto in_double = [](const Values& x) { return linear_in_double(x, 0, true, kM, kIC, kOC); };
  const auto on_tape = [&](Tape& t, const std::vector<Tensor>& x) {
    return linear(t, x[0], packed.of(x[1]), x[2]);
  };
  check({"linear, x in bf16", {x16, w, b}, in_double, on_tape, kBf16});
  check({"linear, x in f32", {x32, w, b}, in_double, on_tape, kBf16});
  check({"linear_add, x in bf16",
         {x16, w, b, r},
         [&](const Values& x) {
           std::vector<double> y = in_double(x);
           for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[3][i];
           return y;
         },
         [&](Tape& t, const std::vector<Tensor>& x) {
           return linear_add(t, x[3], x[0], packed.of(x[1]), x[2]);
         },
         kBf16});
}

TEST_CASE("accumulation: the gradients of layernorm add up, also without dx, for y in f32 and in bf16") {
  const std::int64_t rows = 35, C = 5;  // two tasks of rows
  const auto in_double = [=](const Values& x) {
    std::vector<double> y(x[0].size()), mean(rows), rstd(rows);
    reference::layernorm_forward(y.data(), mean.data(), rstd.data(), x[0].data(), x[1].data(), x[2].data(),
                                 rows, C);
    return y;
  };
  for (const DType out : {DType::f32, DType::bf16}) {
    check({str("layernorm to ", name(out)),
           {argument({rows, C}, 1), argument({C}, 2), argument({C}, 3)},
           in_double,
           [=](Tape& t, const std::vector<Tensor>& x) { return layernorm(t, x[0], x[1], x[2], out); },
           {5e-4, 1e-4}});
  }
}

TEST_CASE("accumulation: the gradients of gelu and attention add up, in f32 and in bf16") {
  const std::int64_t B = 2, T = 4, C = 4, NH = 2;
  const auto gelu_in_double = [](const Values& x) {
    std::vector<double> y(x[0].size());
    reference::gelu_forward(y.data(), x[0].data(), std::ssize(y));
    return y;
  };
  const auto attention_in_double = [=](const Values& x) {
    std::vector<double> y(B * T * C), max(B * NH * T), inverse_sum(max.size());
    reference::attention_forward(y.data(), max.data(), inverse_sum.data(), x[0].data(), B, T, C, NH);
    return y;
  };
  const auto gelu_on_tape = [](Tape& t, const std::vector<Tensor>& x) { return gelu(t, x[0]); };
  const auto attention_on_tape = [=](Tape& t, const std::vector<Tensor>& x) {
    return attention(t, x[0], NH);
  };
  check({"gelu", {argument({3, 7}, 1)}, gelu_in_double, gelu_on_tape});
  check({"gelu in bf16", {in_bf16({3, 7}, 1)}, gelu_in_double, gelu_on_tape, kBf16});
  check({"attention", {argument({B, T, 3 * C}, 1)}, attention_in_double, attention_on_tape});
  check({"attention in bf16", {in_bf16({B, T, 3 * C}, 1)}, attention_in_double, attention_on_tape, kBf16});
}

// ---- Losses and tables ----

TEST_CASE("accumulation: the gradients of softmax and cross_entropy add up") {
  const std::int64_t rows = 4, V = 6, Vp = 8;
  std::vector<std::int32_t> targets = {5, -1, 0, 3};
  check({"softmax",
         {argument({rows, V}, 1)},
         [=](const Values& x) {
           std::vector<double> y(x[0].size());
           reference::softmax_forward(y.data(), x[0].data(), rows, V);
           return y;
         },
         [](Tape& t, const std::vector<Tensor>& x) { return softmax(t, x[0]); }});
  check({"cross_entropy",
         {argument({rows, Vp}, 1)},
         [&](const Values& x) {
           std::vector<double> losses(rows);
           reference::cross_entropy_forward(losses.data(), x[0].data(), targets.data(), rows, V, Vp);
           return std::vector<double>{(losses[0] + losses[2] + losses[3]) / 3};
         },
         [&](Tape& t, const std::vector<Tensor>& x) {
           return cross_entropy(t, x[0], Tensor(targets.data(), {rows}), V);
         }});
}

TEST_CASE("accumulation: linear_cross_entropy adds to its table's gradient, which its forward pass writes") {
  const std::int64_t N = 4, C = 5, V = 6, Vp = 8;
  std::vector<std::int32_t> targets = {5, -1, 0, 3};
  Argument wte = argument({Vp, C}, 2);
  wte.only_as_leaf = true;
  const auto in_double = [&](const Values& x) {
    std::vector<double> logits(N * Vp), losses(N);
    reference::linear_forward<double>(logits.data(), x[0].data(), x[1].data(), nullptr, N, C, Vp);
    reference::cross_entropy_forward(losses.data(), logits.data(), targets.data(), N, V, Vp);
    return std::vector<double>{(losses[0] + losses[2] + losses[3]) / 3};
  };
  const Tensor target(targets.data(), {N});
  check({"linear_cross_entropy",
         {argument({N, C}, 1), wte},
         in_double,
         [&](Tape& t, const std::vector<Tensor>& x) {
           return linear_cross_entropy(t, x[0], x[1], target, V);
         }});
  Pages forward(static_cast<std::size_t>(packed_b_count(Vp, C)) * sizeof(bf16)),
      backward(static_cast<std::size_t>(packed_b_count(C, Vp)) * sizeof(bf16));
  auto *f = reinterpret_cast<bf16*>(forward.data()), *b = reinterpret_cast<bf16*>(backward.data());
  pack_weight_rows(f, b, wte.values.data(), Vp, C, 0, Vp);
  for (const Argument& x : {in_bf16({N, C}, 1), argument({N, C}, 1)}) {
    check({str("linear_cross_entropy in bf16, x ", name(x.dtype)),
           {x, wte},
           in_double,
           [&](Tape& t, const std::vector<Tensor>& in) {
             return linear_cross_entropy(t, in[0], Weight(in[1], f, b), target, V);
           },
           {0.01, 0.03}});
  }
}

TEST_CASE("accumulation: the gradients of embedding, gather and pick add up, also when ids repeat") {
  const std::int64_t B = 2, T = 3, C = 4, V = 5, maxT = 6;
  std::vector<std::int32_t> ids = {1, 4, 1, 0, 1, 4}, column = {3, 0, 3, 1, 2};
  for (const std::int64_t first : {0, 1, 3}) {
    check({str("embedding from position ", first),
           {argument({V, C}, 1), argument({maxT, C}, 2)},
           [&](const Values& x) {
             std::vector<double> y(B * T * C);
             reference::embedding_forward(y.data(), x[0].data(), x[1].data() + first * C, ids.data(), B, T,
                                          C);
             return y;
           },
           [&](Tape& t, const std::vector<Tensor>& x) {
             return embedding(t, x[0], x[1], Tensor(ids.data(), {B, T}), V, first);
           }});
  }
  check({"gather",
         {argument({V, C}, 1)},
         [&](const Values& x) {
           std::vector<double> y(B * T * C);
           reference::gather_forward(y.data(), x[0].data(), ids.data(), B * T, C);
           return y;
         },
         [&](Tape& t, const std::vector<Tensor>& x) {
           return gather(t, x[0], Tensor(ids.data(), {B, T}));
         }});
  check({"pick",
         {argument({V, C}, 1)},
         [&](const Values& x) {
           std::vector<double> y(V);
           reference::pick_forward(y.data(), x[0].data(), column.data(), V, C);
           return y;
         },
         [&](Tape& t, const std::vector<Tensor>& x) { return pick(t, x[0], Tensor(column.data(), {V})); }});
}

// ---- Arithmetic ----

TEST_CASE("accumulation: the gradients of matmul add up, for many matrices times many or times one") {
  // c (n, M, N) = a (n, M, K) b, where b is one matrix for all products or one matrix for each
  const std::int64_t n = 3, M = 2, K = 4, N = 3;
  const auto in_double = [=](bool shared) {
    return [=](const Values& x) {
      std::vector<double> y(n * M * N);
      for (std::int64_t i = 0; i < n * M * N; ++i) {
        for (std::int64_t k = 0; k < K; ++k) {
          const std::int64_t matrix = shared ? 0 : i / (M * N);
          y[static_cast<std::size_t>(i)] += x[0][static_cast<std::size_t>(i / N * K + k)] *
                                            x[1][static_cast<std::size_t>(matrix * K * N + k * N + i % N)];
        }
      }
      return y;
    };
  };
  const auto on_tape = [](Tape& t, const std::vector<Tensor>& x) { return matmul(t, x[0], x[1]); };
  check({"matmul of many", {argument({n, M, K}, 1), argument({n, K, N}, 2)}, in_double(false), on_tape});
  check({"matmul with one matrix", {argument({n, M, K}, 1), argument({K, N}, 2)}, in_double(true), on_tape});
  // a is a view of (n, K, M). Its rows are not contiguous, so its products with b are computed one by one.
  check({"matmul of transposed views",
         {argument({n, K, M}, 1), argument({K, N}, 2)},
         [=](const Values& x) {
           Values turned = x;
           for (std::int64_t i = 0; i < n * M * K; ++i) {
             const std::int64_t matrix = i / (M * K), m = i / K % M, k = i % K;
             turned[0][static_cast<std::size_t>(i)] =
                 x[0][static_cast<std::size_t>(matrix * M * K + k * M + m)];
           }
           return in_double(true)(turned);
         },
         [](Tape& t, const std::vector<Tensor>& x) { return matmul(t, x[0].transpose(1, 2), x[1]); }});
}

TEST_CASE("accumulation: the gradients of add, sub, mul and div add up, with and without broadcasting") {
  using Function = Tensor (*)(Tape&, const Tensor&, const Tensor&);
  const std::pair<Binary, Function> ops[] = {
      {Binary::add, add}, {Binary::sub, sub}, {Binary::mul, mul}, {Binary::div, div}};
  const std::pair<Shape, Shape> shapes[] = {
      {{3, 4}, {3, 4}}, {{3, 4}, {4}},       {{4}, {3, 4}},       {{3, 1}, {1, 4}},
      {{3, 4}, {}},     {{2, 3, 4}, {3, 1}}, {{2, 1, 4}, {3, 1}}, {{2, 1, 2, 1}, {3, 1, 2}}};
  for (const auto& [op, function] : ops) {
    for (const auto& [a, b] : shapes) {
      check(
          {str("operation ", static_cast<int>(op), " of ", a, " and ", b),
           {argument(a, 1), positive(b, 2)},
           [op = op, a = a, b = b](const Values& x) {
             std::vector<double> y(static_cast<std::size_t>(broadcast("test", a, b).numel()));
             reference::binary_forward(op, y.data(), x[0].data(), x[1].data(), a, b);
             return y;
           },
           [function = function](Tape& t, const std::vector<Tensor>& x) { return function(t, x[0], x[1]); }});
    }
  }
}

TEST_CASE("accumulation: the gradients of functions of one operand add up, for a tensor and for a slice") {
  const std::tuple<Unary, double, std::function<Tensor(Tape&, const Tensor&)>> ops[] = {
      {Unary::exp, 0, [](Tape& t, const Tensor& x) { return exp(t, x); }},
      {Unary::log, 0, [](Tape& t, const Tensor& x) { return log(t, x); }},
      {Unary::tanh, 0, [](Tape& t, const Tensor& x) { return tanh(t, x); }},
      {Unary::relu, 0, [](Tape& t, const Tensor& x) { return relu(t, x); }},
      {Unary::scale, 2.5, [](Tape& t, const Tensor& x) { return scale(t, x, 2.5f); }},
      {Unary::scale, -1, [](Tape& t, const Tensor& x) { return neg(t, x); }},
      {Unary::shift, 0.5, [](Tape& t, const Tensor& x) { return add(t, x, 0.5f); }}};
  for (const auto& [op, s, function] : ops) {
    const auto in_double = [op = op, s = s](const std::vector<double>& x, std::size_t begin,
                                            std::size_t end) {
      std::vector<double> y(end - begin);
      reference::unary_forward(op, y.data(), x.data() + begin, std::ssize(y), s);
      return y;
    };
    const Argument x = op == Unary::log ? positive({4, 5}, 1) : argument({4, 5}, 1);
    check({str("function ", static_cast<int>(op)),
           {x},
           [&](const Values& v) { return in_double(v[0], 0, 20); },
           [&function = function](Tape& t, const std::vector<Tensor>& v) { return function(t, v[0]); }});
    check({str("function ", static_cast<int>(op), " of rows 1 and 2"),
           {x},
           [&](const Values& v) { return in_double(v[0], 5, 15); },
           [&function = function](Tape& t, const std::vector<Tensor>& v) {
             return function(t, v[0].slice(0, 1, 3));
           }});
  }
}

TEST_CASE(
    "accumulation: the gradients of sum, mean and max along every axis, and of copies of views, add up") {
  const Shape shape{3, 4, 5};
  // A maximum of equal numbers has no derivative, so all numbers are different.
  const Argument cube{shape, random_floats(60, 1)};
  using Function = Tensor (*)(Tape&, const Tensor&, int, bool);
  const std::pair<const char*, Function> ops[] = {{"sum", sum}, {"mean", mean}, {"max", max}};
  for (const auto& [op, function] : ops) {
    for (int axis = 0; axis < 3; ++axis) {
      std::int64_t outer = 1, inner = 1;
      for (int i = 0; i < 3; ++i) (i < axis ? outer : inner) *= i == axis ? 1 : shape[i];
      const std::int64_t n = shape[axis];
      check({str(op, " along axis ", axis),
             {cube},
             [=, op = std::string(op)](const Values& x) {
               std::vector<double> y(static_cast<std::size_t>(outer * inner));
               if (op == "max") {
                 reference::max_forward(y.data(), x[0].data(), outer, n, inner);
               } else {
                 reference::sum_forward(y.data(), x[0].data(), outer, n, inner,
                                        op == "sum" ? 1.0 : 1.0 / static_cast<double>(n));
               }
               return y;
             },
             [function = function, axis](Tape& t, const std::vector<Tensor>& x) {
               return function(t, x[0], axis, false);
             }});
    }
  }
  check({"the mean of all",
         {cube},
         [](const Values& x) {
           double total = 0;
           for (double v : x[0]) total += v / 60;
           return std::vector<double>{total};
         },
         [](Tape& t, const std::vector<Tensor>& x) { return mean(t, x[0]); }});
  // copies of parts of a (3, 4) tensor: its transpose, and its columns 1 and 2
  const auto element = [](const Values& x, std::size_t row, std::size_t column) {
    return x[0][row * 4 + column];
  };
  check({"a copy of a transposed view",
         {argument({3, 4}, 1)},
         [=](const Values& x) {
           std::vector<double> y;
           for (std::size_t i = 0; i < 12; ++i) y.push_back(element(x, i % 3, i / 3));
           return y;
         },
         [](Tape& t, const std::vector<Tensor>& x) { return contiguous(t, x[0].transpose(0, 1)); }});
  check({"a copy of two columns",
         {argument({3, 4}, 1)},
         [=](const Values& x) {
           std::vector<double> y;
           for (std::size_t i = 0; i < 6; ++i) y.push_back(element(x, i / 2, 1 + i % 2));
           return y;
         },
         [](Tape& t, const std::vector<Tensor>& x) { return contiguous(t, x[0].slice(1, 1, 3)); }});
}

TEST_CASE("accumulation: the gradients of a recomputed function that uses its input twice add up") {
  // exp(x) gelu(x)
  check({"recompute",
         {argument({3, 7}, 1)},
         [](const Values& x) {
           std::vector<double> y(x[0].size());
           reference::gelu_forward(y.data(), x[0].data(), std::ssize(y));
           for (std::size_t i = 0; i < y.size(); ++i) y[i] *= std::exp(x[0][i]);
           return y;
         },
         [](Tape& t, const std::vector<Tensor>& x) {
           return recompute(t, x[0], [](Tape& inner, const Tensor& in) {
             return mul(inner, exp(inner, in), gelu(inner, in));
           });
         },
         {1e-3, 1e-4}});
}

}  // namespace
}  // namespace inkling
