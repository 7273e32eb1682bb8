#include "ops/gelu.h"

#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference ----

template <class T>
void reference::gelu_forward(T* y, const T* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T u2 = static_cast<T>(kGeluTwoRoot2Pi) * (x[i] + static_cast<T>(kGeluCubic) * x[i] * x[i] * x[i]);
    y[i] = x[i] / (1 + std::exp(-u2));
  }
}

template <class T>
void reference::gelu_backward(T* dx, const T* dy, const T* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T cut = static_cast<T>(kGeluCut), z = std::min(std::max(x[i], -cut), cut), z2 = z * z;
    const T u2 = static_cast<T>(kGeluTwoRoot2Pi) * (z + static_cast<T>(kGeluCubic) * z2 * z);
    const T du2 = static_cast<T>(kGeluTwoRoot2Pi) * (1 + 3 * static_cast<T>(kGeluCubic) * z2);
    const T s = 1 / (1 + std::exp(-u2));
    dx[i] += dy[i] * (s + z * s * (1 - s) * du2);
  }
}

template void reference::gelu_forward(float*, const float*, std::int64_t);
template void reference::gelu_forward(double*, const double*, std::int64_t);
template void reference::gelu_backward(float*, const float*, const float*, std::int64_t);
template void reference::gelu_backward(double*, const double*, const double*, std::int64_t);

// ---- The differentiable op ----

namespace {

constexpr std::int64_t kElements = 1 << 14;  // a task: 64 KiB in and 64 KiB out

void backward(Gradients& gradients, const Tensor& y, const Tensor& x) {
  const float* dy = gradients.of(y);
  const GradientTarget dx = gradients.target(x);
  parallel_for(x.numel(), kElements, [&](std::int64_t begin, std::int64_t end) {
    kernels().gelu_backward(dx.data + begin, dy + begin, x.f32() + begin, end - begin, dx.accumulate);
  });
}

}  // namespace

Tensor gelu(Tape& tape, const Tensor& x) {
  if (!x.contiguous()) fail("gelu: x ", x.shape(), " is not contiguous");
  const Tensor y = tape.output(x.shape(), {x});
  float* out = y.f32();
  const float* in = x.f32();
  parallel_for(x.numel(), kElements, [&](std::int64_t begin, std::int64_t end) {
    kernels().gelu_forward(out + begin, in + begin, end - begin);
  });
  tape.record("gelu", {y}, {x}, [=](Gradients& gradients) { backward(gradients, y, x); });
  return y;
}

}  // namespace inkling
