#include "ops/views.h"

#include <algorithm>

#include "core/parallel.h"

namespace inkling {

namespace {

constexpr std::int64_t kElements = 1 << 14;  // a task

// Calls f(first, place, n, step) for every run of x along its last axis: elements first .. first+n-1, counted
// as a contiguous copy would, stand at place, place + step, ... of what x views.
template <class F>
void for_each_run(const Tensor& x, F f) {
  const int rank = x.rank();
  const std::int64_t n = x.shape().back(), step = rank == 0 ? 1 : x.stride(rank - 1);
  const std::int64_t runs_a_task = std::max<std::int64_t>(1, kElements / std::max<std::int64_t>(1, n));
  parallel_for(x.shape().rows(), runs_a_task, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t run = begin; run < end; ++run) {
      std::int64_t place = 0, rest = run;
      for (int axis = rank - 2; axis >= 0; --axis) {
        place += rest % x.dim(axis) * x.stride(axis);
        rest /= x.dim(axis);
      }
      f(run * n, place, n, step);
    }
  });
}

void copy(float* y, const Tensor& x) {
  const float* data = x.f32();
  for_each_run(x, [=](std::int64_t first, std::int64_t place, std::int64_t n, std::int64_t step) {
    for (std::int64_t i = 0; i < n; ++i) y[first + i] = data[place + i * step];
  });
}

void backward(Gradients& gradients, const Tensor& y, const Tensor& x) {
  const float* dy = gradients.of(y);
  float* dx = gradients.sum_into(x);
  for_each_run(x, [=](std::int64_t first, std::int64_t place, std::int64_t n, std::int64_t step) {
    for (std::int64_t i = 0; i < n; ++i) dx[place + i * step] += dy[first + i];
  });
}

}  // namespace

Tensor contiguous(Tape& tape, const Tensor& x) {
  if (x.contiguous()) return x;
  const Tensor y = tape.output(x.shape(), {x});
  const auto scope = tape.scope("contiguous", y, moving({x, y}));
  copy(y.f32(), x);
  tape.record("contiguous", {y}, {x}, moving({y, x}),
              [=](Gradients& gradients) { backward(gradients, y, x); });
  return y;
}

}  // namespace inkling
