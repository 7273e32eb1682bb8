#include "ops/layernorm.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference ----

template <class T>
void reference::layernorm_forward(const LayerNormForward<T, T>& arguments) {
  const auto [y, mean, rstd, x, weight, bias, rows, C] = arguments;
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* x_r = x + r * C;
    T* y_r = y + r * C;
    // pass 1: mean
    T m = 0;
    for (std::int64_t c = 0; c < C; ++c) m += x_r[c];
    m /= static_cast<T>(C);
    // pass 2: variance
    T var = 0;
    for (std::int64_t c = 0; c < C; ++c) var += (x_r[c] - m) * (x_r[c] - m);
    var /= static_cast<T>(C);
    const T s = 1 / std::sqrt(var + static_cast<T>(kLayerNormEps));
    // pass 3: normalise, scale, shift
    for (std::int64_t c = 0; c < C; ++c) y_r[c] = (x_r[c] - m) * s * weight[c] + bias[c];
    mean[r] = m;
    rstd[r] = s;
  }
}

template <class T>
void reference::layernorm_backward(const LayerNormBackward<T, T>& arguments) {
  const auto [dx, dweight, dbias, dy, x, weight, mean, rstd, rows, C, accumulate] = arguments;
  for (std::int64_t r = 0; r < rows; ++r) {
    const T* x_r = x + r * C;
    const T* dy_r = dy + r * C;
    T* dx_r = dx + r * C;
    // pass 1: the means of g = dy * weight and of g * n, and the gradients of the parameters
    T g_mean = 0, gn_mean = 0;
    for (std::int64_t c = 0; c < C; ++c) {
      const T n = (x_r[c] - mean[r]) * rstd[r];
      const T g = dy_r[c] * weight[c];
      g_mean += g;
      gn_mean += g * n;
      dweight[c] += dy_r[c] * n;
      dbias[c] += dy_r[c];
    }
    g_mean /= static_cast<T>(C);
    gn_mean /= static_cast<T>(C);
    // pass 2: dx = rstd * (g - mean(g) - n * mean(g n))
    for (std::int64_t c = 0; c < C; ++c) {
      const T n = (x_r[c] - mean[r]) * rstd[r];
      dx_r[c] = (accumulate ? dx_r[c] : 0) + rstd[r] * (dy_r[c] * weight[c] - g_mean - n * gn_mean);
    }
  }
}

template void reference::layernorm_forward(const LayerNormForward<float, float>&);
template void reference::layernorm_forward(const LayerNormForward<double, double>&);
template void reference::layernorm_backward(const LayerNormBackward<float, float>&);
template void reference::layernorm_backward(const LayerNormBackward<double, double>&);

// ---- The differentiable op ----

namespace {

// Rows of x in a task. The number is fixed, so that the partial sums of dweight and dbias are always the
// same.
constexpr std::int64_t kRows = 32;
// Columns of dweight and dbias in a task that adds the partial sums: 1 KiB of each partial sum.
constexpr std::int64_t kColumns = 256;

// In the functions of this namespace, T is the type of y: float or bf16.

template <class T>
void forward(const Tensor& y, float* mean, float* rstd, const Tensor& x, const Tensor& weight,
             const Tensor& bias) {
  const std::int64_t C = x.shape().back();
  T* out = y.data<T>();
  parallel_for(x.shape().rows(), kRows, [&](std::int64_t begin, std::int64_t end) {
    kernels().of<T>().layernorm_forward({out + begin * C, mean + begin, rstd + begin, x.f32() + begin * C,
                                         weight.f32(), bias.f32(), end - begin, C});
  });
}

template <class T>
void backward(Gradients& gradients, const Tensor& y, const Tensor& x, const Tensor& weight,
              const Tensor& bias, const float* mean, const float* rstd) {
  const std::int64_t C = x.shape().back(), rows = x.shape().rows();
  const std::int64_t chunks = ceil_div(rows, kRows);
  const T* dy = gradients.of<T>(y);
  const GradientTarget dx = x.has_gradient() ? gradients.target(x) : GradientTarget<>{nullptr, false};
  // Each chunk sums dweight and dbias over its own rows; then the partial sums of all chunks are added in
  // order.
  const Workspace workspace(static_cast<std::size_t>(chunks * 3 * C) * sizeof(float));
  parallel_for(rows, kRows, [&](std::int64_t begin, std::int64_t end) {
    float* part = workspace.floats() + begin / kRows * 3 * C;
    std::fill(part, part + 2 * C, 0.0f);
    const auto run = [&](float* into, std::int64_t row, std::int64_t count) {
      kernels().of<T>().layernorm_backward({.dx = into,
                                            .dweight = part,
                                            .dbias = part + C,
                                            .dy = dy + row * C,
                                            .x = x.f32() + row * C,
                                            .weight = weight.f32(),
                                            .mean = mean + row,
                                            .rstd = rstd + row,
                                            .rows = count,
                                            .C = C,
                                            .accumulate = dx.accumulate});
    };
    if (dx.data != nullptr) return run(dx.data + begin * C, begin, end - begin);
    // dx is not needed: each of its rows goes to scratch memory
    for (std::int64_t row = begin; row < end; ++row) run(part + 2 * C, row, 1);
  });
  const auto add_parts = [&](const Tensor& parameter, std::int64_t offset) {
    if (!parameter.has_gradient()) return;
    float* sum = gradients.sum_into(parameter);
    parallel_for(C, kColumns, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const float* part = workspace.floats() + chunk * 3 * C + offset;
        for (std::int64_t c = begin; c < end; ++c) sum[c] += part[c];
      }
    });
  };
  add_parts(weight, 0);
  add_parts(bias, C);
}

}  // namespace

Tensor layernorm(Tape& tape, const Tensor& x, const Tensor& weight, const Tensor& bias, DType out) {
  const std::int64_t C = x.shape().back(), rows = x.shape().rows();
  if (!(weight.shape() == Shape{C})) fail("layernorm: weight is ", weight.shape(), ", expected (C=", C, ")");
  if (!(bias.shape() == Shape{C})) fail("layernorm: bias is ", bias.shape(), ", expected (C=", C, ")");
  if (!x.contiguous()) fail("layernorm: x ", x.shape(), " is not contiguous, expected a contiguous tensor");
  check_dtype("layernorm", "x", x, DType::f32);
  check_dtype("layernorm", "weight", weight, DType::f32);
  check_dtype("layernorm", "bias", bias, DType::f32);
  if (out != DType::f32 && out != DType::bf16)
    fail("layernorm: out is ", name(out), ", expected f32 or bf16");
  const Tensor y = tape.output(x.shape(), {x, weight, bias}, out);
  float* mean = tape.keep(rows);
  float* rstd = tape.keep(rows);
  const bool is_bf16 = out == DType::bf16;
  const auto scope = tape.scope("layernorm", y, moving({x, y}));
  is_bf16 ? forward<bf16>(y, mean, rstd, x, weight, bias) : forward<float>(y, mean, rstd, x, weight, bias);
  tape.record("layernorm", {y}, {x, weight, bias}, moving({y, x, x}), [=](Gradients& gradients) {
    is_bf16 ? backward<bf16>(gradients, y, x, weight, bias, mean, rstd)
            : backward<float>(gradients, y, x, weight, bias, mean, rstd);
  });
  return y;
}

}  // namespace inkling
