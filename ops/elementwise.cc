#include "ops/elementwise.h"

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/parallel.h"
#include "core/portable_math.h"
#include "ops/grain.h"
#include "ops/kernels.h"
#include "ops/reduce.h"
#include "ops/views.h"

namespace inkling {

Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  Shape y;
  y.rank = std::max(a.rank, b.rank);
  for (int back = 1; back <= y.rank; ++back) {  // `back` is the axis, counted from the last axis
    const std::int64_t of_a = back <= a.rank ? a[a.rank - back] : 1;
    const std::int64_t of_b = back <= b.rank ? b[b.rank - back] : 1;
    if (of_a != of_b && of_a != 1 && of_b != 1) {
      fail(op, ": shapes ", a, " and ", b, " cannot be broadcast: one axis has sizes ", of_a, " and ", of_b,
           ", expected equal sizes or a size of 1");
    }
    y[y.rank - back] = of_a == 1 ? of_b : of_a;
  }
  return y;
}

// ---- The reference ----

namespace {

// Calls f(i, i_a, i_b) for every element i of y in order, where i_a and i_b are the indices of the two
// operands of element i in a and b.
template <class F>
void for_each_element(const Shape& a, const Shape& b, F f) {
  const Shape y = broadcast("reference", a, b);
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    const auto element_of = [&](const Shape& x) {
      std::int64_t element = 0, step = 1, rest = i;
      for (int back = 1; back <= x.rank; ++back) {
        const std::int64_t index = rest % y[y.rank - back];
        rest /= y[y.rank - back];
        if (x[x.rank - back] != 1) element += index * step;
        step *= x[x.rank - back];
      }
      return element;
    };
    f(i, element_of(a), element_of(b));
  }
}

}  // namespace

template <class T>
void reference::binary_forward(Binary op, T* y, const T* a, const T* b, const Shape& a_shape,
                               const Shape& b_shape) {
  for_each_element(a_shape, b_shape, [=](std::int64_t i, std::int64_t i_a, std::int64_t i_b) {
    if (op == Binary::add) y[i] = a[i_a] + b[i_b];
    if (op == Binary::sub) y[i] = a[i_a] - b[i_b];
    if (op == Binary::mul) y[i] = a[i_a] * b[i_b];
    if (op == Binary::div) y[i] = a[i_a] / b[i_b];
  });
}

template <class T>
void reference::binary_backward(Binary op, T* da, T* db, const T* dy, const T* a, const T* b,
                                const Shape& a_shape, const Shape& b_shape) {
  for_each_element(a_shape, b_shape, [=](std::int64_t i, std::int64_t i_a, std::int64_t i_b) {
    const T d = dy[i], p = a[i_a], q = b[i_b];
    if (op == Binary::add) da[i_a] += d, db[i_b] += d;
    if (op == Binary::sub) da[i_a] += d, db[i_b] -= d;
    if (op == Binary::mul) da[i_a] += d * q, db[i_b] += d * p;
    if (op == Binary::div) da[i_a] += d / q, db[i_b] -= d * p / (q * q);
  });
}

template <class T>
void reference::unary_forward(Unary op, T* y, const T* x, std::int64_t n, T s) {
  for (std::int64_t i = 0; i < n; ++i) {
    if (op == Unary::exp) y[i] = portable::exp(x[i]);
    if (op == Unary::log) y[i] = portable::log(x[i]);
    if (op == Unary::tanh) y[i] = portable::tanh(x[i]);
    if (op == Unary::relu) y[i] = x[i] < 0 ? 0 : x[i];
    if (op == Unary::scale) y[i] = s * x[i];
    if (op == Unary::shift) y[i] = x[i] + s;
  }
}

template <class T>
void reference::unary_backward(Unary op, T* dx, const T* dy, const T* x, const T* y, std::int64_t n, T s) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T d = dy[i];
    if (op == Unary::exp) dx[i] += d * y[i];
    if (op == Unary::log) dx[i] += d / x[i];
    if (op == Unary::tanh) dx[i] += d * (1 - y[i] * y[i]);
    if (op == Unary::relu) dx[i] += x[i] > 0 ? d : 0;
    if (op == Unary::scale) dx[i] += s * d;
    if (op == Unary::shift) dx[i] += d;
  }
}

template void reference::binary_forward(Binary, float*, const float*, const float*, const Shape&,
                                        const Shape&);
template void reference::binary_forward(Binary, double*, const double*, const double*, const Shape&,
                                        const Shape&);
template void reference::binary_backward(Binary, float*, float*, const float*, const float*, const float*,
                                         const Shape&, const Shape&);
template void reference::binary_backward(Binary, double*, double*, const double*, const double*,
                                         const double*, const Shape&, const Shape&);
template void reference::unary_forward(Unary, float*, const float*, std::int64_t, float);
template void reference::unary_forward(Unary, double*, const double*, std::int64_t, double);
template void reference::unary_backward(Unary, float*, const float*, const float*, const float*, std::int64_t,
                                        float);
template void reference::unary_backward(Unary, double*, const double*, const double*, const double*,
                                        std::int64_t, double);

// ---- The differentiable ops of two operands ----

namespace {

// A Walk says how to go through contiguous a and b to compute y. Neighbouring axes that repeat the same
// operands are merged into one axis. So two equal shapes are a single long run, and (B, T, C) + (C) has two
// axes, (B T) and C. If an operand is repeated along an axis, its stride along this axis is 0. The last axis
// comes first.
struct Walk {
  int rank = 0;
  std::array<std::int64_t, Shape::kMaxRank> size{}, a_stride{}, b_stride{};
};

Walk walk_of(const Shape& y, const Shape& a, const Shape& b) {
  Walk w;
  std::int64_t a_step = 1, b_step = 1;
  for (int back = 1; back <= y.rank; ++back) {
    const std::int64_t n = y[y.rank - back];
    if (n == 1) continue;
    const bool repeats_a = back > a.rank || a[a.rank - back] != n;
    const bool repeats_b = back > b.rank || b[b.rank - back] != n;
    const auto top = static_cast<std::size_t>(w.rank);
    if (w.rank > 0 && (w.a_stride[top - 1] == 0) == repeats_a && (w.b_stride[top - 1] == 0) == repeats_b) {
      w.size[top - 1] *= n;
    } else {
      w.size[top] = n;
      w.a_stride[top] = repeats_a ? 0 : a_step;
      w.b_stride[top] = repeats_b ? 0 : b_step;
      ++w.rank;
    }
    if (!repeats_a) a_step *= n;
    if (!repeats_b) b_step *= n;
  }
  if (w.rank == 0) w = {1, {1}, {1}, {1}};
  return w;
}

// Calls f(i, i_a, i_b, n) in parallel for runs of n elements of y. A run starts at element i of y, at element
// i_a of a and at element i_b of b.
template <class F>
void for_each_run_of_two(const Walk& w, std::int64_t numel, F f) {
  parallel_for(numel, kTaskElements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end;) {
      const std::int64_t n = std::min(end - i, w.size[0] - i % w.size[0]);
      std::int64_t i_a = 0, i_b = 0, rest = i;
      for (std::size_t axis = 0; axis < static_cast<std::size_t>(w.rank); ++axis) {
        const std::int64_t index = rest % w.size[axis];
        rest /= w.size[axis];
        i_a += index * w.a_stride[axis];
        i_b += index * w.b_stride[axis];
      }
      f(i, i_a, i_b, n);
      i += n;
    }
  });
}

// Sums g, which has y's shape, over the axes with stride 0 and writes the sums into `out`. Two axes with
// stride 0 are never neighbours, so there are at most two such axes.
void sum_repeated(GradientTarget<> out, const float* g, const Walk& w,
                  const std::array<std::int64_t, Shape::kMaxRank>& stride, std::int64_t numel) {
  std::int64_t inner = 1, outer = numel;
  int left = 0;
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(w.rank); ++axis)
    left += stride[axis] == 0 ? 1 : 0;
  const Workspace workspace(static_cast<std::size_t>(left > 1 ? numel : 1) * sizeof(float));
  for (std::size_t axis = 0; axis < static_cast<std::size_t>(w.rank); ++axis) {
    const std::int64_t n = w.size[axis];
    outer /= n;
    if (stride[axis] != 0) {
      inner *= n;
      continue;
    }
    const GradientTarget<> to = --left == 0 ? out : GradientTarget<>{workspace.floats(), false};
    sum_axis(to, g, outer, n, inner, 1.0f);
    g = to.data;
  }
}

void binary_backward(Gradients& gradients, Binary op, Side of, const Tensor& y, const Tensor& a,
                     const Tensor& b) {
  const Tensor& x = of == Side::a ? a : b;
  const std::int64_t numel = y.numel();
  if (!x.has_gradient()) return;
  if (numel == 0) {  // y is empty, but x may have elements; nothing depends on them, so their gradient is 0
    gradients.sum_into(x);
    return;
  }
  const float* dy = gradients.of(y);
  const GradientTarget dx = gradients.target(x);
  const Walk w = walk_of(y.shape(), a.shape(), b.shape());
  const auto run = [&](float* into, bool accumulate) {
    for_each_run_of_two(w, numel, [&](std::int64_t i, std::int64_t i_a, std::int64_t i_b, std::int64_t n) {
      kernels().binary_backward(op, of, into + i, dy + i, {a.f32() + i_a, w.a_stride[0]},
                                {b.f32() + i_b, w.b_stride[0]}, n, accumulate);
    });
  };
  if (x.numel() == numel) return run(dx.data, dx.accumulate);
  // x was repeated: first compute the gradient for every element of y, then sum over the repetitions
  const auto& stride = of == Side::a ? w.a_stride : w.b_stride;
  if (op == Binary::add) return sum_repeated(dx, dy, w, stride, numel);
  const Workspace workspace(static_cast<std::size_t>(numel) * sizeof(float));
  run(workspace.floats(), false);
  sum_repeated(dx, workspace.floats(), w, stride, numel);
}

Tensor binary(Tape& tape, const char* name, Binary op, const Tensor& a_view, const Tensor& b_view) {
  check_dtype(name, "a", a_view, DType::f32);
  check_dtype(name, "b", b_view, DType::f32);
  const Shape shape = broadcast(name, a_view.shape(), b_view.shape());
  const Tensor a = contiguous(tape, a_view), b = contiguous(tape, b_view);
  const Tensor y = tape.output(shape, {a, b});
  const auto scope = tape.scope(name, y, moving({a, b, y}));
  const Walk w = walk_of(shape, a.shape(), b.shape());
  for_each_run_of_two(w, y.numel(), [&](std::int64_t i, std::int64_t i_a, std::int64_t i_b, std::int64_t n) {
    kernels().binary_forward(op, y.f32() + i, {a.f32() + i_a, w.a_stride[0]}, {b.f32() + i_b, w.b_stride[0]},
                             n);
  });
  tape.record(name, {y}, {a, b}, moving({y, a, b}), [=](Gradients& gradients) {
    binary_backward(gradients, op, Side::a, y, a, b);
    binary_backward(gradients, op, Side::b, y, a, b);
  });
  return y;
}

}  // namespace

Tensor add(Tape& tape, const Tensor& a, const Tensor& b) {
  return binary(tape, "add", Binary::add, a, b);
}
Tensor sub(Tape& tape, const Tensor& a, const Tensor& b) {
  return binary(tape, "sub", Binary::sub, a, b);
}
Tensor mul(Tape& tape, const Tensor& a, const Tensor& b) {
  return binary(tape, "mul", Binary::mul, a, b);
}
Tensor div(Tape& tape, const Tensor& a, const Tensor& b) {
  return binary(tape, "div", Binary::div, a, b);
}

// ---- The differentiable functions of one argument ----

namespace {

void unary_backward(Gradients& gradients, Unary op, const Tensor& y, const Tensor& x, float s) {
  const float* dy = gradients.of(y);
  const GradientTarget dx = gradients.target(x);
  parallel_for(y.numel(), kTaskElements, [&](std::int64_t begin, std::int64_t end) {
    kernels().unary_backward(op, dx.data + begin, dy + begin, x.f32() + begin, y.f32() + begin, end - begin,
                             s, dx.accumulate);
  });
}

Tensor unary(Tape& tape, const char* name, Unary op, const Tensor& view, float s = 0.0f) {
  check_dtype(name, "x", view, DType::f32);
  const Tensor x = contiguous(tape, view);
  const Tensor y = tape.output(x.shape(), {x});
  const auto scope = tape.scope(name, y, moving({x, y}));
  parallel_for(y.numel(), kTaskElements, [&](std::int64_t begin, std::int64_t end) {
    kernels().unary_forward(op, y.f32() + begin, x.f32() + begin, end - begin, s);
  });
  tape.record(name, {y}, {x}, moving({y, x, x}),
              [=](Gradients& gradients) { unary_backward(gradients, op, y, x, s); });
  return y;
}

}  // namespace

Tensor exp(Tape& tape, const Tensor& x) {
  return unary(tape, "exp", Unary::exp, x);
}
Tensor log(Tape& tape, const Tensor& x) {
  return unary(tape, "log", Unary::log, x);
}
Tensor tanh(Tape& tape, const Tensor& x) {
  return unary(tape, "tanh", Unary::tanh, x);
}
Tensor relu(Tape& tape, const Tensor& x) {
  return unary(tape, "relu", Unary::relu, x);
}
Tensor neg(Tape& tape, const Tensor& x) {
  return unary(tape, "neg", Unary::scale, x, -1.0f);
}
Tensor scale(Tape& tape, const Tensor& x, float factor) {
  return unary(tape, "scale", Unary::scale, x, factor);
}
Tensor add(Tape& tape, const Tensor& x, float number) {
  return unary(tape, "add", Unary::shift, x, number);
}

}  // namespace inkling
