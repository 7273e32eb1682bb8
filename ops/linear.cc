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
void reference::linear_backward(const LinearGradients<T>& to, const T* dy, const T* x, const T* weight,
                                std::int64_t M, std::int64_t IC, std::int64_t OC) {
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t o = 0; o < OC; ++o) {
      const T d = dy[m * OC + o];
      to.dbias[o] += d;
      for (std::int64_t i = 0; i < IC; ++i) {
        to.dx[m * IC + i] += d * weight[o * IC + i];
        to.dweight[o * IC + i] += d * x[m * IC + i];
      }
    }
  }
}

template void reference::linear_forward(float*, const float*, const float*, const float*, std::int64_t,
                                        std::int64_t, std::int64_t);
template void reference::linear_forward(double*, const double*, const double*, const double*, std::int64_t,
                                        std::int64_t, std::int64_t);
template void reference::linear_backward(const LinearGradients<float>&, const float*, const float*,
                                         const float*, std::int64_t, std::int64_t, std::int64_t);
template void reference::linear_backward(const LinearGradients<double>&, const double*, const double*,
                                         const double*, std::int64_t, std::int64_t, std::int64_t);

// ---- The differentiable op ----

void multiply_by_weight(const MatrixOut<float>& y, const MatrixIn<float>& x, const Weight& W,
                        std::int64_t M) {
  const std::int64_t OC = W.values.dim(0), IC = W.values.dim(1);
  if (W.packed != nullptr) return gemm_bf16(y, x, W.packed, {M, OC, IC});
  if (W.int8.q != nullptr) return gemv_int8(y, x, W.int8, M);
  gemm(y, x, rows(W.values.f32(), IC).transposed(), {M, OC, IC});
}
void multiply_by_weight(const MatrixOut<float>& y, const MatrixIn<bf16>& x, const Weight& W, std::int64_t M) {
  gemm_bf16(y, x, W.packed, {M, W.values.dim(0), W.values.dim(1)});
}
void multiply_by_weight(const MatrixOut<bf16>& y, const MatrixIn<bf16>& x, const Weight& W, std::int64_t M) {
  gemm_bf16(y, x, W.packed, {M, W.values.dim(0), W.values.dim(1)});
}

namespace {

constexpr std::int64_t kColumns = 256;  // columns of dy in a task of dbias: 1 KiB of each row

struct Layer {
  Tensor x;  // (..., IC)
  Weight weight;
  Tensor bias;
  Shape y_shape;  // (..., OC)
  std::int64_t M, IC, OC;

  bool in_bf16() const { return weight.packed != nullptr; }
};

// In the functions below, Y and X are the types of y and x: float or bf16. If one of them is bf16, the weight
// is packed.

template <class Y, class X>
void forward(const Layer& l, const Tensor& y, const Y* residual) {
  const MatrixOut<Y> out{y.data<Y>(), l.OC, l.bias ? l.bias.f32() : nullptr, residual};
  multiply_by_weight(out, rows(l.x.data<X>(), l.IC), l.weight, l.M);
}

// dW (OC,IC) = or += dY^T X
template <class Y, class X>
void weight_product(const MatrixOut<float>& dW, const MatrixIn<Y>& dY, const MatrixIn<X>& x, const Layer& l) {
  gemm_bf16(dW, dY.transposed(), x, {l.OC, l.IC, l.M});
}
void weight_product(const MatrixOut<float>& dW, const MatrixIn<float>& dY, const MatrixIn<float>& x,
                    const Layer& l) {
  if (l.in_bf16()) return gemm_bf16(dW, dY.transposed(), x, {l.OC, l.IC, l.M});
  gemm(dW, dY.transposed(), x, {l.OC, l.IC, l.M});
}

template <class Y, class X>
void weight_gradient(Gradients& gradients, const Tensor& y, const Layer& l) {
  const Y* dy = gradients.of<Y>(y);
  if (l.weight.values.has_gradient()) {
    const GradientTarget target = gradients.target(l.weight.values);
    MatrixOut<float> dW = assign_or_add(target.data, l.IC, target.accumulate);
    dW.stream = true;  // only the optimiser reads it, much later
    weight_product(dW, rows(dy, l.OC), rows(l.x.data<X>(), l.IC), l);
  }
  if (!l.bias.has_gradient()) return;
  const GradientTarget dbias = gradients.target(l.bias);
  parallel_for(l.OC, kColumns, [&](std::int64_t begin, std::int64_t end) {
    kernels().of<Y>().sum_columns(dbias.data + begin, dy + begin, l.M, end - begin, l.OC, 1.0f,
                                  dbias.accumulate);
  });
}

// dX (M,IC) = or += dY W
template <class Y, class X>
void input_product(const MatrixOut<X>& dX, const MatrixIn<Y>& dY, const Layer& l) {
  gemm_bf16(dX, dY, l.weight.packed_transposed, {l.M, l.IC, l.OC});
}
void input_product(const MatrixOut<float>& dX, const MatrixIn<float>& dY, const Layer& l) {
  if (l.in_bf16()) return gemm_bf16(dX, dY, l.weight.packed_transposed, {l.M, l.IC, l.OC});
  gemm(dX, dY, rows(l.weight.values.f32(), l.IC), {l.M, l.IC, l.OC});
}

template <class Y, class X>
void input_gradient(Gradients& gradients, const Tensor& y, const Layer& l) {
  const GradientTarget dx = gradients.target<X>(l.x);
  input_product(assign_or_add(dx.data, l.IC, dx.accumulate), rows(gradients.of<Y>(y), l.OC), l);
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
  Shape y_shape = x.shape();
  y_shape[y_shape.rank - 1] = weight.values.dim(0);
  return {x, weight, bias, y_shape, x.shape().leading().numel(), x.shape().back(), weight.values.dim(0)};
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

template <class Y, class X>
void run_and_record(Tape& tape, const Tensor& y, const Layer& l, const Y* residual) {
  const auto scope = tape.scope("linear", y, work_of(l, y));
  forward<Y, X>(l, y, residual);
  tape.record("linear.dweight", {y}, {l.weight.values, l.bias}, work_of_dweight(l, y),
              [=](Gradients& gradients) { weight_gradient<Y, X>(gradients, y, l); });
  tape.record("linear.dx", {y}, {l.x}, work_of(l, y),
              [=](Gradients& gradients) { input_gradient<Y, X>(gradients, y, l); });
}

}  // namespace

Tensor linear(Tape& tape, const Tensor& x, const Weight& weight, const Tensor& bias) {
  const Layer l = layer_of(x, weight, bias);
  const Tensor y = tape.output(l.y_shape, {x, weight.values, bias}, x.dtype());
  x.dtype() == DType::bf16 ? run_and_record<bf16, bf16>(tape, y, l, nullptr)
                           : run_and_record<float, float>(tape, y, l, nullptr);
  return y;
}

Tensor linear_add(Tape& tape, const Tensor& residual, const Tensor& x, const Weight& weight,
                  const Tensor& bias) {
  const Layer l = layer_of(x, weight, bias);
  if (!(residual.shape() == l.y_shape) || !residual.contiguous()) {
    fail("linear_add: residual is ", residual.shape(), ", expected a contiguous ", l.y_shape);
  }
  check_dtype("linear_add", "residual", residual, DType::f32);
  const Tensor y = tape.output(l.y_shape, {residual, x, weight.values, bias});
  x.dtype() == DType::bf16 ? run_and_record<float, bf16>(tape, y, l, residual.f32())
                           : run_and_record<float, float>(tape, y, l, residual.f32());
  tape.record("linear.dresidual", {y}, {residual}, moving({y, residual}),
              [=](Gradients& gradients) { residual_gradient(gradients, y, residual); });
  return y;
}

}  // namespace inkling
