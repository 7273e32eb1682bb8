#include "ops/cross_entropy.h"

#include <algorithm>
#include <limits>

#include "core/error.h"
#include "core/parallel.h"
#include "core/portable_math.h"
#include "ops/grain.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference ----

namespace {

template <class T>
struct RowStatistics {
  T max, sum;
};

template <class T>
RowStatistics<T> row_statistics(const T* x, std::int64_t vocab) {
  T m = -std::numeric_limits<T>::infinity(), s = 0;
  for (std::int64_t v = 0; v < vocab; ++v) m = std::max(m, x[v]);
  for (std::int64_t v = 0; v < vocab; ++v) s += portable::exp(x[v] - m);
  return {m, s};
}

}  // namespace

template <class T>
void reference::cross_entropy_forward(T* losses, const T* logits, const std::int32_t* targets,
                                      std::int64_t rows, std::int64_t vocab, std::int64_t Vp) {
  for (std::int64_t r = 0; r < rows; ++r) {
    losses[r] = 0;
    if (targets[r] < 0) continue;
    const T* x = logits + r * Vp;
    const auto [m, s] = row_statistics(x, vocab);
    losses[r] = (m - x[targets[r]]) + portable::log(s);
  }
}

template <class T>
void reference::cross_entropy_backward(T* dlogits, const T* logits, const std::int32_t* targets, T scale,
                                       std::int64_t rows, std::int64_t vocab, std::int64_t Vp) {
  for (std::int64_t r = 0; r < rows; ++r) {
    if (targets[r] < 0) continue;
    const T* x = logits + r * Vp;
    const auto [m, s] = row_statistics(x, vocab);
    for (std::int64_t v = 0; v < vocab; ++v) {
      const T p = portable::exp(x[v] - m) / s;
      dlogits[r * Vp + v] += scale * (v == targets[r] ? p - 1 : p);
    }
  }
}

template void reference::cross_entropy_forward(float*, const float*, const std::int32_t*, std::int64_t,
                                               std::int64_t, std::int64_t);
template void reference::cross_entropy_forward(double*, const double*, const std::int32_t*, std::int64_t,
                                               std::int64_t, std::int64_t);
template void reference::cross_entropy_backward(float*, const float*, const std::int32_t*, float,
                                                std::int64_t, std::int64_t, std::int64_t);
template void reference::cross_entropy_backward(double*, const double*, const std::int32_t*, double,
                                                std::int64_t, std::int64_t, std::int64_t);

// ---- The differentiable op ----

std::int64_t count_targets(const char* op, const std::int32_t* targets, std::int64_t n, std::int64_t vocab) {
  std::int64_t counted = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    if (targets[i] < -1 || targets[i] >= vocab) {
      fail(op, ": targets[", i, "] is ", targets[i], ", expected -1 or 0 to ", vocab - 1);
    }
    counted += targets[i] >= 0 ? 1 : 0;
  }
  return counted;
}

double sum_losses(const float* losses, std::int64_t n) {
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += static_cast<double>(losses[i]);
  return total;
}

namespace {

void backward(Gradients& gradients, const Tensor& loss, const Tensor& logits, const Tensor& targets,
              std::int64_t vocab, std::int64_t counted, const float* row_max, const float* row_sum) {
  const std::int64_t Vp = logits.shape().back();
  const float scale = *gradients.of(loss) / static_cast<float>(counted);
  const GradientTarget d = gradients.target(logits);
  parallel_for(logits.shape().rows(), task_rows(Vp), [&](std::int64_t begin, std::int64_t end) {
    kernels().cross_entropy_backward(d.data + begin * Vp, logits.f32() + begin * Vp, row_max + begin,
                                     row_sum + begin, scale, {targets.i32() + begin, end - begin, vocab, Vp},
                                     d.accumulate);
  });
}

}  // namespace

Tensor cross_entropy(Tape& tape, const Tensor& logits, const Tensor& targets, std::int64_t vocab) {
  const std::int64_t Vp = logits.shape().back(), rows = logits.shape().rows();
  const Shape expected = logits.shape().leading();
  if (logits.rank() == 0) fail("cross_entropy: logits is a scalar, expected (..., Vp)");
  if (!logits.contiguous())
    fail("cross_entropy: logits ", logits.shape(), " is not contiguous, expected a contiguous tensor");
  if (!(targets.shape() == expected)) {
    fail("cross_entropy: targets is ", targets.shape(), ", expected ", expected, ", the shape of logits ",
         logits.shape(), " without its last axis");
  }
  if (!targets.contiguous())
    fail("cross_entropy: targets ", targets.shape(), " is not contiguous, expected a contiguous tensor");
  check_dtype("cross_entropy", "logits", logits, DType::f32);
  check_dtype("cross_entropy", "targets", targets, DType::i32);
  if (vocab < 1 || vocab > Vp) fail("cross_entropy: vocab is ", vocab, ", expected 1 to Vp=", Vp);
  const std::int64_t counted = count_targets("cross_entropy", targets.i32(), rows, vocab);
  if (counted == 0) fail("cross_entropy: all ", rows, " targets are -1, expected at least one token id");

  const Tensor loss = tape.output({}, {logits});
  float* losses = tape.keep(rows);
  float* row_max = tape.keep(rows);
  float* row_sum = tape.keep(rows);
  const auto scope = tape.scope("cross_entropy", loss, moving({logits}));
  parallel_for(rows, task_rows(Vp), [&](std::int64_t begin, std::int64_t end) {
    kernels().cross_entropy_forward(losses + begin, row_max + begin, row_sum + begin,
                                    logits.f32() + begin * Vp,
                                    {targets.i32() + begin, end - begin, vocab, Vp});
  });
  *loss.f32() = static_cast<float>(sum_losses(losses, rows) / static_cast<double>(counted));
  tape.record("cross_entropy", {loss}, {logits}, moving({logits, logits}), [=](Gradients& gradients) {
    backward(gradients, loss, logits, targets, vocab, counted, row_max, row_sum);
  });
  return loss;
}

}  // namespace inkling
