// Elementwise arithmetic on one contiguous run of n elements. The mathematics is in ops/elementwise.h.
#pragma once

#include "ops/elementwise.h"
#include "ops/simd/lanes_simd.h"
#include "ops/simd/math_simd.h"

namespace inkling::simd {

// Run: an operand of an element-wise op (Operand in elementwise.h), which is read one register at a time.
template <class V>
struct Run {
  explicit Run(Operand x) : data(x.data), repeats(x.step == 0), first(*x.data) {}
  explicit Run(const float* p) : Run(Operand{p, 1}) {}

  // Returns the operand's elements from i on. Lanes past the end are 1, because a division by 0 would be
  // slow.
  template <class Lanes>
  V at(std::int64_t i, Lanes lanes) const {
    return repeats ? first : lanes.load(data + i, 1.0f);
  }

  const float* data;
  bool repeats;
  V first;
};

// Computes out = f or out += f for n elements, where f(i, lanes) returns the elements from i on.
template <class V, class F>
void write_run(float* out, std::int64_t n, bool accumulate, F f) {
  for_lanes<V>(n, [&](std::int64_t i, auto lanes) {
    lanes.store(out + i, accumulate ? lanes.load(out + i) + f(i, lanes) : f(i, lanes));
  });
}

// Computes y = a op b for n elements.
template <class V>
void binary_forward(Binary op, float* y, Operand a, Operand b, std::int64_t n) noexcept {
  if (n <= 0) return;
  const Run<V> A(a), B(b);
  const auto run = [&](auto f) {
    write_run<V>(y, n, false, [&](std::int64_t i, auto lanes) { return f(A.at(i, lanes), B.at(i, lanes)); });
  };
  switch (op) {
    case Binary::add:
      return run([](V p, V q) { return p + q; });
    case Binary::sub:
      return run([](V p, V q) { return p - q; });
    case Binary::mul:
      return run([](V p, V q) { return p * q; });
    case Binary::div:
      return run([](V p, V q) { return p / q; });
  }
}

// Computes the gradient of the operand `of`, which is a or b: one number for each element of y. If the
// operand was repeated (broadcast), the caller must sum these numbers.
template <class V>
void binary_backward(Binary op, Side of, float* dx, const float* dy, Operand a, Operand b, std::int64_t n,
                     bool accumulate) noexcept {
  if (n <= 0) return;
  const Run<V> D(dy), A(a), B(b);
  const auto run = [&](auto f) {
    write_run<V>(dx, n, accumulate, [&](std::int64_t i, auto lanes) {
      return f(D.at(i, lanes), A.at(i, lanes), B.at(i, lanes));
    });
  };
  const bool of_a = of == Side::a;
  switch (op) {
    case Binary::add:
      return run([](V d, V, V) { return d; });
    case Binary::sub:
      return of_a ? run([](V d, V, V) { return d; }) : run([](V d, V, V) { return -d; });
    case Binary::mul:
      return of_a ? run([](V d, V, V q) { return d * q; }) : run([](V d, V p, V) { return d * p; });
    case Binary::div:
      return of_a ? run([](V d, V, V q) { return d / q; })
                  : run([](V d, V p, V q) { return -d * p / (q * q); });
  }
}

template <class V>
void unary_forward(Unary op, float* y, const float* x, std::int64_t n, float s) noexcept {
  if (n <= 0) return;
  const Run<V> X(x);
  const V zero(0.0f), factor(s);
  const auto run = [&](auto f) {
    write_run<V>(y, n, false, [&](std::int64_t i, auto lanes) { return f(X.at(i, lanes)); });
  };
  switch (op) {
    case Unary::exp:
      return run([](V p) { return exp(p); });
    case Unary::log:
      return run([](V p) { return log(p); });
    case Unary::tanh:
      return run([](V p) { return tanh(p); });
    case Unary::relu:
      return run([=](V p) { return if_less(p, zero, zero, p); });
    case Unary::scale:
      return run([=](V p) { return p * factor; });
    case Unary::shift:
      return run([=](V p) { return p + factor; });
  }
}

template <class V>
void unary_backward(Unary op, float* dx, const float* dy, const float* x, const float* y, std::int64_t n,
                    float s, bool accumulate) noexcept {
  if (n <= 0) return;
  const Run<V> D(dy), X(x), Y(y);
  const V zero(0.0f), one(1.0f), factor(s);
  const auto run = [&](auto f) {
    write_run<V>(dx, n, accumulate, [&](std::int64_t i, auto lanes) {
      return f(D.at(i, lanes), X.at(i, lanes), Y.at(i, lanes));
    });
  };
  switch (op) {
    case Unary::exp:
      return run([](V d, V, V e) { return d * e; });
    case Unary::log:
      return run([](V d, V p, V) { return d / p; });
    case Unary::tanh:
      return run([=](V d, V, V t) { return d * (one - t * t); });
    case Unary::relu:
      return run([=](V d, V p, V) { return if_less(zero, p, d, zero); });
    case Unary::scale:
      return run([=](V d, V, V) { return d * factor; });
    case Unary::shift:
      return run([](V d, V, V) { return d; });
  }
}

}  // namespace inkling::simd
