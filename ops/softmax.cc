#include "ops/softmax.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/parallel.h"
#include "core/portable_math.h"
#include "ops/grain.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference ----

template <class T>
void reference::softmax_forward(T* y, const T* x, std::int64_t rows, std::int64_t C) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* x_r = x + r * C;
    T* y_r = y + r * C;
    // pass 1: maximum
    T m = -std::numeric_limits<T>::infinity();
    for (std::int64_t c = 0; c < C; ++c) m = std::max(m, x_r[c]);
    // pass 2: e^(x - m) and its sum
    T total = 0;
    for (std::int64_t c = 0; c < C; ++c) total += y_r[c] = portable::exp(x_r[c] - m);
    // pass 3: divide
    for (std::int64_t c = 0; c < C; ++c) y_r[c] /= total;
  }
}

template <class T>
void reference::softmax_backward(T* dx, const T* dy, const T* y, std::int64_t rows, std::int64_t C) {
  for (std::int64_t r = 0; r < rows; ++r) {
    const T *dy_r = dy + r * C, *y_r = y + r * C;
    // pass 1: sum dy_i y_i
    T dot = 0;
    for (std::int64_t c = 0; c < C; ++c) dot += dy_r[c] * y_r[c];
    // pass 2: dx = y (dy - dot)
    for (std::int64_t c = 0; c < C; ++c) dx[r * C + c] += y_r[c] * (dy_r[c] - dot);
  }
}

template void reference::softmax_forward(float*, const float*, std::int64_t, std::int64_t);
template void reference::softmax_forward(double*, const double*, std::int64_t, std::int64_t);
template void reference::softmax_backward(float*, const float*, const float*, std::int64_t, std::int64_t);
template void reference::softmax_backward(double*, const double*, const double*, std::int64_t, std::int64_t);

// ---- The differentiable op ----

namespace {

void backward(Gradients& gradients, const Tensor& y, const Tensor& x) {
  const std::int64_t C = x.shape().back();
  const float* dy = gradients.of(y);
  const GradientTarget dx = gradients.target(x);
  parallel_for(x.shape().rows(), task_rows(C), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t at = begin * C;
    kernels().softmax_backward(dx.data + at, dy + at, y.f32() + at, end - begin, C, dx.accumulate);
  });
}

}  // namespace

Tensor softmax(Tape& tape, const Tensor& x) {
  check_dtype("softmax", "x", x, DType::f32);
  if (!x.contiguous()) fail("softmax: x ", x.shape(), " is not contiguous, expected a contiguous tensor");
  const std::int64_t C = x.shape().back();
  const Tensor y = tape.output(x.shape(), {x});
  float* out = y.f32();
  const float* in = x.f32();
  const auto scope = tape.scope("softmax", y, moving({x, y}));
  parallel_for(x.shape().rows(), task_rows(C), [&](std::int64_t begin, std::int64_t end) {
    kernels().softmax_forward(out + begin * C, in + begin * C, end - begin, C);
  });
  tape.record("softmax", {y}, {x}, moving({y, y, x}),  // reads dy and y, writes dx
              [=](Gradients& gradients) { backward(gradients, y, x); });
  return y;
}

}  // namespace inkling
