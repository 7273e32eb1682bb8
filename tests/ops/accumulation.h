// Checks that gradients add up. An op is tested with a gradient for each choice of its inputs, used once and
// used twice. The gradient buffers hold nothing yet, or hold numbers that must be added to. The expected
// gradients come from central differences of the forward formula in double.
#pragma once

#include <algorithm>
#include <cstring>
#include <functional>

#include "tests/support.h"

namespace inkling::test {

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

inline Argument argument(Shape shape, std::uint64_t seed) {
  return {shape, random_bf16s(shape.numel(), seed)};
}
inline Argument positive(Shape shape, std::uint64_t seed) {
  Argument a = argument(shape, seed);
  for (float& v : a.values) v = 0.5f + std::abs(v);
  return a;
}
inline Argument in_bf16(Shape shape, std::uint64_t seed) {
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
inline Values gradients_of(const Op& op, const std::vector<float>& dy) {
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

inline Tensor copied(Tape& tape, const Tensor& x) {
  const Tensor y = tape.output(x.shape(), {x});
  std::copy_n(x.f32(), x.numel(), y.f32());
  tape.record("copied", {y}, {x}, [=](Gradients& gradients) {
    const float* dy = gradients.of(y);
    float* dx = gradients.sum_into(x);
    for (std::int64_t i = 0; i < x.numel(); ++i) dx[i] += dy[i];
  });
  return y;
}

inline Tensor total(Tape& tape, const Tensor& a, const Tensor& b) {
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
inline void check_use(const Op& op, const Values& want, unsigned wanted, Into into,
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

inline void check_gradients(const Op& op) {
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

}  // namespace inkling::test
