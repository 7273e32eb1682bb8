#include "ops/gelu.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "core/portable_math.h"
#include "ops/grain.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference ----

template <class T>
void reference::gelu_forward(T* y, const T* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T u2 = static_cast<T>(kGeluTwoRoot2Pi) * (x[i] + static_cast<T>(kGeluCubic) * x[i] * x[i] * x[i]);
    y[i] = x[i] / (1 + portable::exp(-u2));
  }
}

template <class T>
void reference::gelu_backward(T* dx, const T* dy, const T* x, std::int64_t n) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T cut = static_cast<T>(kGeluCut), z = std::min(std::max(x[i], -cut), cut), z2 = z * z;
    const T u2 = static_cast<T>(kGeluTwoRoot2Pi) * (z + static_cast<T>(kGeluCubic) * z2 * z);
    const T du2 = static_cast<T>(kGeluTwoRoot2Pi) * (1 + 3 * static_cast<T>(kGeluCubic) * z2);
    const T s = 1 / (1 + portable::exp(-u2));
    dx[i] += dy[i] * (s + z * s * (1 - s) * du2);
  }
}

template void reference::gelu_forward(float*, const float*, std::int64_t);
template void reference::gelu_forward(double*, const double*, std::int64_t);
template void reference::gelu_backward(float*, const float*, const float*, std::int64_t);
template void reference::gelu_backward(double*, const double*, const double*, std::int64_t);

// ---- The differentiable op ----

namespace {

template <class T>  // T is float or bf16
void forward(const Tensor& y, const Tensor& x) {
  T* out = y.data<T>();
  const T* in = x.data<T>();
  parallel_for(x.numel(), kTaskElements, [&](std::int64_t begin, std::int64_t end) {
    kernels().of<T>().gelu_forward(out + begin, in + begin, end - begin);
  });
}

template <class T>
void backward(Gradients& gradients, const Tensor& y, const Tensor& x) {
  const T *dy = gradients.of<T>(y), *in = x.data<T>();
  const GradientTarget dx = gradients.target<T>(x);
  parallel_for(x.numel(), kTaskElements, [&](std::int64_t begin, std::int64_t end) {
    kernels().of<T>().gelu_backward(dx.data + begin, dy + begin, in + begin, end - begin, dx.accumulate);
  });
}

}  // namespace

Tensor gelu(Tape& tape, const Tensor& x) {
  if (!x.contiguous()) fail("gelu: x ", x.shape(), " is not contiguous, expected a contiguous tensor");
  const bool is_bf16 = x.dtype() == DType::bf16;
  const Tensor y = tape.output(x.shape(), {x}, x.dtype());
  const auto scope = tape.scope("gelu", y, moving({x, y}));
  is_bf16 ? forward<bf16>(y, x) : forward<float>(y, x);
  tape.record("gelu", {y}, {x}, moving({y, x, x}), [=](Gradients& gradients) {  // reads dy and x, writes dx
    is_bf16 ? backward<bf16>(gradients, y, x) : backward<float>(gradients, y, x);
  });
  return y;
}

}  // namespace inkling
