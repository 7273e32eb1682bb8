#include "ops/linear.h"

#include "core/error.h"
#include "core/parallel.h"
#include "ops/gemm/gemm.h"
#include "ops/gemm/gemm_bf16.h"
#include "ops/grain.h"
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

void multiply(const Sums& y, const PackSource& x, const Weight& W, std::int64_t M) {
  const std::int64_t OC = W.values.dim(0), IC = W.values.dim(1);
  if (W.packed != nullptr) return gemm_bf16(y, x, W.packed, M, OC, IC);
  auto* out = static_cast<float*>(y.out);
  const auto *in = static_cast<const float*>(x.data), *addend = static_cast<const float*>(y.addend);
  if (W.int8.q != nullptr) return gemv_int8(out, in, W.int8, M, y.bias, addend);
  gemm(out, OC, rows(in, IC), rows(W.values.f32(), IC).transposed(), M, OC, IC, y.bias, addend);
}

namespace {

constexpr bool kStream = true;          // write dW past the caches: only the optimiser reads it, much later
constexpr std::int64_t kColumns = 256;  // columns of dy in a task of dbias: 1 KiB of each row

struct Layer {
  Tensor x;  // (..., IC)
  Weight weight;
  Tensor bias;
  std::int64_t M, IC, OC;

  bool in_bf16() const { return weight.packed != nullptr; }
};

void forward(const Layer& l, const Tensor& y, const float* residual) {
  const float* bias = l.bias ? l.bias.f32() : nullptr;
  multiply({const_cast<void*>(y.raw()), y.dtype(), l.OC, bias, residual}, rows(l.x), l.weight, l.M);
}

template <class T>  // T, the type of dy, is float or bf16
void weight_gradient(Gradients& gradients, const Tensor& y, const Layer& l) {
  const T* dy = gradients.of<T>(y);
  if (l.weight.values.has_gradient()) {
    const GradientTarget dw = gradients.target(l.weight.values);
    if (l.in_bf16()) {
      const PackSource dy_transposed{dy, dtype_of<T>, 1, l.OC};
      const Sums sums{dw.data, DType::f32, l.IC, nullptr, dw.accumulate ? dw.data : nullptr, kStream};
      gemm_bf16(sums, dy_transposed, rows(l.x), l.OC, l.IC, l.M);
    } else if constexpr (std::is_same_v<T, float>) {
      gemm(dw.data, l.IC, rows(dy, l.OC).transposed(), rows(l.x.f32(), l.IC), l.OC, l.IC, l.M, nullptr,
           dw.accumulate);
    }
  }
  if (!l.bias.has_gradient()) return;
  const GradientTarget dbias = gradients.target(l.bias);
  const auto sum_columns = [] {
    if constexpr (std::is_same_v<T, bf16>) return kernels().sum_columns_bf16;
    if constexpr (std::is_same_v<T, float>) return kernels().sum_columns;
  }();
  parallel_for(l.OC, kColumns, [&](std::int64_t begin, std::int64_t end) {
    sum_columns(dbias.data + begin, dy + begin, l.M, end - begin, l.OC, 1.0f, dbias.accumulate);
  });
}

template <class T>  // T, the type of dy, is float or bf16
void input_gradient(Gradients& gradients, const Tensor& y, const Layer& l) {
  const T* dy = gradients.of<T>(y);
  const auto into = [&](auto dx) {
    if (l.in_bf16()) {
      const Sums sums{dx.data, l.x.dtype(), l.IC, nullptr, dx.accumulate ? dx.data : nullptr};
      gemm_bf16(sums, {dy, dtype_of<T>, l.OC, 1}, l.weight.packed_transposed, l.M, l.IC, l.OC);
    } else if constexpr (std::is_same_v<T, float>) {
      if constexpr (std::is_same_v<decltype(dx), GradientTarget<float>>) {
        gemm(dx.data, l.IC, rows(dy, l.OC), rows(l.weight.values.f32(), l.IC), l.M, l.IC, l.OC, nullptr,
             dx.accumulate);
      }
    }
  };
  if (l.x.dtype() == DType::bf16) {
    into(gradients.target<bf16>(l.x));
  } else {
    into(gradients.target(l.x));
  }
}

void residual_gradient(Gradients& gradients, const Tensor& y, const Tensor& residual) {
  const float* dy = gradients.of(y);
  const GradientTarget dresidual = gradients.target(residual);
  parallel_for(y.numel(), kTaskElements, [&](std::int64_t begin, std::int64_t end) {
    kernels().add_scaled(dresidual.data + begin, dy + begin, end - begin, 1, 1.0f, dresidual.accumulate);
  });
}

void check_shapes(const Tensor& x, const Weight& weight, const Tensor& bias) {
  if (x.rank() == 0) fail("linear: x is a scalar, expected (..., IC)");
  const std::int64_t IC = x.shape().back();
  const Tensor& w = weight.values;
  if (w.rank() != 2 || w.dim(1) != IC) fail("linear: weight is ", w.shape(), ", expected (OC, IC=", IC, ")");
  const std::int64_t OC = w.dim(0);
  if (bias && !(bias.shape() == Shape{OC}))
    fail("linear: bias is ", bias.shape(), ", expected (OC=", OC, ")");
  for (const Tensor& t : {x, w, bias}) {
    if (!t.contiguous())
      fail("linear: tensor ", t.shape(), " is not contiguous, expected a contiguous tensor");
  }
  if (x.dtype() != DType::f32 && x.dtype() != DType::bf16) {
    fail("linear: x ", x.shape(), ": dtype is ", name(x.dtype()), ", expected f32 or bf16");
  }
  check_dtype("linear", "weight", w, DType::f32);
  check_dtype("linear", "bias", bias, DType::f32);
  if (weight.int8.q != nullptr && (x.has_gradient() || w.has_gradient())) {
    fail("linear: weight ", w.shape(),
         " has 8 bits, expected f32 or bf16: weights of 8 bits have no backward");
  }
  if (x.dtype() == DType::bf16 && weight.packed == nullptr) {
    fail("linear: x is bf16 and weight ", w.shape(), " is not packed, expected a packed bf16 copy");
  }
  if (x.has_gradient() && weight.packed != nullptr && weight.packed_transposed == nullptr) {
    fail("linear: weight ", w.shape(),
         " was packed without the copy that backward needs, expected packed_transposed");
  }
}

// Checks and collects the arguments of a linear layer. IC may be 0; then y is the bias.
Layer layer_of(const Tensor& x, const Weight& weight, const Tensor& bias) {
  check_shapes(x, weight, bias);
  return {x, weight, bias, x.shape().leading().numel(), x.shape().back(), weight.values.dim(0)};
}

// Returns the work of a linear layer's forward, which is also the work of dX. Both read the weight in the
// number format of the product.
Work work_of(const Layer& l, const Tensor& y) {
  Work work = multiplying(l.M * l.IC * l.OC, {l.x, y});
  work.operands = l.in_bf16() ? DType::bf16 : DType::f32;
  work.bytes += static_cast<double>(l.IC * l.OC * size_bytes(work.operands));
  return work;
}
Work work_of_dweight(const Layer& l, const Tensor& y) {
  Work work = multiplying(l.M * l.IC * l.OC, {l.x, y, l.weight.values});
  work.operands = l.in_bf16() ? DType::bf16 : DType::f32;
  return work;
}

template <class T>  // T, the type of y, is float or bf16
void record(Tape& tape, const Tensor& y, const Layer& l) {
  tape.record("linear.dweight", {y}, {l.weight.values, l.bias}, work_of_dweight(l, y),
              [=](Gradients& gradients) { weight_gradient<T>(gradients, y, l); });
  tape.record("linear.dx", {y}, {l.x}, work_of(l, y),
              [=](Gradients& gradients) { input_gradient<T>(gradients, y, l); });
}

}  // namespace

Tensor linear(Tape& tape, const Tensor& x, const Weight& weight, const Tensor& bias) {
  const Layer l = layer_of(x, weight, bias);
  Shape shape = x.shape();
  shape[shape.rank - 1] = l.OC;
  const Tensor y = tape.output(shape, {x, weight.values, bias}, x.dtype());
  const auto scope = tape.scope("linear", y, work_of(l, y));
  forward(l, y, nullptr);
  x.dtype() == DType::bf16 ? record<bf16>(tape, y, l) : record<float>(tape, y, l);
  return y;
}

Tensor linear_add(Tape& tape, const Tensor& residual, const Tensor& x, const Weight& weight,
                  const Tensor& bias) {
  const Layer l = layer_of(x, weight, bias);
  Shape shape = x.shape();
  shape[shape.rank - 1] = l.OC;
  if (!(residual.shape() == shape) || !residual.contiguous()) {
    fail("linear_add: residual is ", residual.shape(), ", expected a contiguous ", shape);
  }
  check_dtype("linear_add", "residual", residual, DType::f32);
  const Tensor y = tape.output(shape, {residual, x, weight.values, bias});
  const auto scope = tape.scope("linear", y, work_of(l, y));
  forward(l, y, residual.f32());
  record<float>(tape, y, l);
  tape.record("linear.dresidual", {y}, {residual}, moving({y, residual}),
              [=](Gradients& gradients) { residual_gradient(gradients, y, residual); });
  return y;
}

}  // namespace inkling
