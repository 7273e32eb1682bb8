#include "ops/views.h"

#include <algorithm>

#include "core/parallel.h"
#include "ops/grain.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

constexpr std::int64_t kBlock = 128;  // rows and columns of a transpose in one task

// Calls f(first, place, n, step) for every run of x along its last axis. Elements first .. first+n-1 of the
// contiguous copy are at place, place + step, ... in the memory that x views.
template <class F>
void for_each_strided_run(const Tensor& x, F f) {
  const int rank = x.rank();
  const std::int64_t n = x.shape().back(), step = rank == 0 ? 1 : x.stride(rank - 1);
  const std::int64_t runs_a_task = task_rows(n);
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

// Returns the axis along which x is contiguous in memory, if it is not the last axis; otherwise -1.
int side_by_side(const Tensor& x) {
  const int last = x.rank() - 1;
  if (last < 1 || x.stride(last) == 1) return -1;
  for (int axis = 0; axis < last; ++axis) {
    if (x.stride(axis) == 1 && x.dim(axis) > 1) return axis;
  }
  return -1;
}

// Calls f(first, column_step, place, row_step, rows, columns) for every block of a copy that transposes. Such
// a copy transposes the matrices that the last axis of x and the contiguous `axis` form. The rows of a matrix
// go along the last axis, and are `row_step` apart in x; the columns go along `axis`, and are `column_step`
// apart in the copy. A block starts at `first` in the copy and at `place` in x.
template <class F>
void for_each_block(const Tensor& x, int axis, F f) {
  const int last = x.rank() - 1;
  const std::int64_t rows = x.dim(last), columns = x.dim(axis), row_step = x.stride(last);
  const std::int64_t down = ceil_div(rows, kBlock), across = ceil_div(columns, kBlock);
  std::int64_t column_step = 1;
  for (int a = axis + 1; a <= last; ++a) column_step *= x.dim(a);
  const std::int64_t matrices = rows * columns == 0 ? 0 : x.numel() / (rows * columns);
  parallel_chunks(matrices * down * across, [&](std::int64_t task) {
    const std::int64_t column = task % across * kBlock, row = task / across % down * kBlock;
    std::int64_t first = column * column_step + row, place = column + row * row_step;
    std::int64_t rest = task / across / down, step = rows;
    for (int a = last - 1; a >= 0; step *= x.dim(a), --a) {
      if (a == axis) continue;
      first += rest % x.dim(a) * step;
      place += rest % x.dim(a) * x.stride(a);
      rest /= x.dim(a);
    }
    f(first, column_step, place, row_step, std::min(kBlock, rows - row), std::min(kBlock, columns - column));
  });
}

void copy(float* y, const Tensor& x) {
  const float* data = x.f32();
  if (const int axis = side_by_side(x); axis >= 0) {
    for_each_block(
        x, axis, [=](auto first, auto column_step, auto place, auto row_step, auto rows, auto columns) {
          kernels().transpose(y + first, column_step, data + place, row_step, rows, columns, false);
        });
    return;
  }
  for_each_strided_run(x, [=](std::int64_t first, std::int64_t place, std::int64_t n, std::int64_t step) {
    for (std::int64_t i = 0; i < n; ++i) y[first + i] = data[place + i * step];
  });
}

void backward(Gradients& gradients, const Tensor& y, const Tensor& x) {
  const float* dy = gradients.of(y);
  float* dx = gradients.sum_into(x);
  if (const int axis = side_by_side(x); axis >= 0) {
    for_each_block(x, axis,
                   [=](auto first, auto column_step, auto place, auto row_step, auto rows, auto columns) {
                     kernels().transpose(dx + place, row_step, dy + first, column_step, columns, rows, true);
                   });
    return;
  }
  for_each_strided_run(x, [=](std::int64_t first, std::int64_t place, std::int64_t n, std::int64_t step) {
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
