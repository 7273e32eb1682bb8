#include "ops/linear.h"

#include "core/error.h"
#include "core/parallel.h"
#include "ops/gemm.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference ----

template <class T>
void reference::linear_forward(T* y, const T* x, const T* weight, const T* bias, std::int64_t M,
                               std::int64_t IC, std::int64_t OC) {
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t o = 0; o < OC; ++o) {
      T sum = bias == nullptr ? T(0) : bias[o];
      for (std::int64_t i = 0; i < IC; ++i) sum += x[m * IC + i] * weight[o * IC + i];
      y[m * OC + o] = sum;
    }
  }
}

template <class T>
void reference::linear_backward(T* dx, T* dweight, T* dbias, const T* dy, const T* x, const T* weight,
                                std::int64_t M, std::int64_t IC, std::int64_t OC) {
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t o = 0; o < OC; ++o) {
      const T d = dy[m * OC + o];
      dbias[o] += d;
      for (std::int64_t i = 0; i < IC; ++i) {
        dx[m * IC + i] += d * weight[o * IC + i];
        dweight[o * IC + i] += d * x[m * IC + i];
      }
    }
  }
}

template void reference::linear_forward(float*, const float*, const float*, const float*, std::int64_t,
                                        std::int64_t, std::int64_t);
template void reference::linear_forward(double*, const double*, const double*, const double*, std::int64_t,
                                        std::int64_t, std::int64_t);
template void reference::linear_backward(float*, float*, float*, const float*, const float*, const float*,
                                         std::int64_t, std::int64_t, std::int64_t);
template void reference::linear_backward(double*, double*, double*, const double*, const double*,
                                         const double*, std::int64_t, std::int64_t, std::int64_t);

// ---- The differentiable op ----

namespace {

constexpr std::int64_t kColumns = 256;  // columns of dy a task sums: a row's piece is 1 KiB in one go

void weight_gradient(Gradients& gradients, const Tensor& y, const Tensor& x, const Tensor& weight,
                     const Tensor& bias) {
  const std::int64_t M = x.shape().rows(), IC = weight.dim(1), OC = weight.dim(0);
  const float* dy = gradients.of(y);
  if (weight.has_gradient()) {
    const GradientTarget dweight = gradients.target(weight);
    gemm(dweight.data, IC, rows(dy, OC).transposed(), rows(x.f32(), IC), OC, IC, M, nullptr,
         dweight.accumulate);
  }
  if (bias.has_gradient()) {
    const GradientTarget dbias = gradients.target(bias);
    parallel_for(OC, kColumns, [&](std::int64_t begin, std::int64_t end) {
      kernels().sum_columns(dbias.data + begin, dy + begin, M, end - begin, OC, 1.0f, dbias.accumulate);
    });
  }
}

void input_gradient(Gradients& gradients, const Tensor& y, const Tensor& x, const Tensor& weight) {
  const std::int64_t M = x.shape().rows(), IC = weight.dim(1), OC = weight.dim(0);
  const GradientTarget dx = gradients.target(x);
  gemm(dx.data, IC, rows(gradients.of(y), OC), rows(weight.f32(), IC), M, IC, OC, nullptr, dx.accumulate);
}

}  // namespace

Tensor linear(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias) {
  if (x.rank() == 0) fail("linear: x is a scalar, expected (..., IC)");
  const std::int64_t IC = x.shape().back();
  if (weight.rank() != 2 || weight.dim(1) != IC) {
    fail("linear: weight is ", weight.shape(), ", expected (OC, IC=", IC, ")");
  }
  const std::int64_t OC = weight.dim(0);
  if (bias && !(bias.shape() == Shape{OC}))
    fail("linear: bias is ", bias.shape(), ", expected (OC=", OC, ")");
  for (const Tensor& t : {x, weight, bias}) {
    if (!t.contiguous()) fail("linear: tensor ", t.shape(), " is not contiguous");
  }
  Shape shape = x.shape();
  shape[shape.rank - 1] = OC;
  const Tensor y = tape.output(shape, {x, weight, bias});
  const Work work = multiplying(x.numel() * OC, {x, weight, y});  // forward, dX and dW alike
  const auto scope = tape.scope("linear", y, work);
  gemm(y.f32(), OC, rows(x.f32(), IC), rows(weight.f32(), IC).transposed(), x.shape().rows(), OC, IC,
       bias ? bias.f32() : nullptr, false);
  tape.record("linear.dweight", {y}, {weight, bias}, work,
              [=](Gradients& gradients) { weight_gradient(gradients, y, x, weight, bias); });
  tape.record("linear.dx", {y}, {x}, work,
              [=](Gradients& gradients) { input_gradient(gradients, y, x, weight); });
  return y;
}

}  // namespace inkling
