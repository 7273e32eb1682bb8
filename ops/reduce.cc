#include "ops/reduce.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/grain.h"
#include "ops/kernels.h"
#include "ops/views.h"

namespace inkling {

// ---- The reference ----

template <class T>
void reference::sum_forward(T* y, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner,
                            T scale) {
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      T total = 0;
      for (std::int64_t k = 0; k < n; ++k) total += x[(o * n + k) * inner + i];
      y[o * inner + i] = scale * total;
    }
  }
}

template <class T>
void reference::sum_backward(T* dx, const T* dy, std::int64_t outer, std::int64_t n, std::int64_t inner,
                             T scale) {
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      for (std::int64_t k = 0; k < n; ++k) dx[(o * n + k) * inner + i] += scale * dy[o * inner + i];
    }
  }
}

template <class T>
void reference::max_forward(T* y, const T* x, std::int64_t outer, std::int64_t n, std::int64_t inner) {
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      T most = x[o * n * inner + i];
      for (std::int64_t k = 1; k < n; ++k) {
        const T candidate = x[(o * n + k) * inner + i];
        if (std::isnan(candidate) || candidate > most) most = candidate;
      }
      y[o * inner + i] = most;
    }
  }
}

namespace {

// Returns the index of the first maximum y among x[0], x[inner], x[2 inner], ...
template <class T>
std::int64_t first_maximum(const T* x, T y, std::int64_t n, std::int64_t inner) {
  std::int64_t k = 0;
  while (k < n - 1 && !(x[k * inner] == y || std::isnan(x[k * inner]))) ++k;  // if there is a NaN, y is NaN
  return k;
}

}  // namespace

template <class T>
void reference::max_backward(T* dx, const T* dy, const T* x, const T* y, std::int64_t outer, std::int64_t n,
                             std::int64_t inner) {
  for (std::int64_t o = 0; o < outer; ++o) {
    for (std::int64_t i = 0; i < inner; ++i) {
      const std::int64_t column = o * n * inner + i, out = o * inner + i;
      dx[column + first_maximum(x + column, y[out], n, inner) * inner] += dy[out];
    }
  }
}

template void reference::sum_forward(float*, const float*, std::int64_t, std::int64_t, std::int64_t, float);
template void reference::sum_forward(double*, const double*, std::int64_t, std::int64_t, std::int64_t,
                                     double);
template void reference::sum_backward(float*, const float*, std::int64_t, std::int64_t, std::int64_t, float);
template void reference::sum_backward(double*, const double*, std::int64_t, std::int64_t, std::int64_t,
                                      double);
template void reference::max_forward(float*, const float*, std::int64_t, std::int64_t, std::int64_t);
template void reference::max_forward(double*, const double*, std::int64_t, std::int64_t, std::int64_t);
template void reference::max_backward(float*, const float*, const float*, const float*, std::int64_t,
                                      std::int64_t, std::int64_t);
template void reference::max_backward(double*, const double*, const double*, const double*, std::int64_t,
                                      std::int64_t, std::int64_t);

// ---- Cutting the work ----

namespace {

constexpr std::int64_t kPiece = 1 << 14;  // the largest number of elements in one float sum
constexpr std::int64_t kColumns = 64;     // columns in a block: whole cache lines, a few registers

// Calls f(o, first column, number of columns) for blocks of columns, in parallel.
template <class F>
void for_each_column_block(std::int64_t outer, std::int64_t n, std::int64_t inner, F f) {
  const std::int64_t blocks = ceil_div(inner, kColumns);
  parallel_for(outer * blocks, task_rows(n * std::min(inner, kColumns)),
               [&](std::int64_t begin, std::int64_t end) {
                 for (std::int64_t block = begin; block < end; ++block) {
                   const std::int64_t first = block % blocks * kColumns;
                   f(block / blocks, first, std::min(kColumns, inner - first));
                 }
               });
}

// Calls f(row) for rows of n elements, in parallel.
template <class F>
void for_each_row(std::int64_t rows, std::int64_t n, F f) {
  parallel_for(rows, task_rows(n), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) f(row);
  });
}

void sum_rows(GradientTarget<> out, const float* x, std::int64_t rows, std::int64_t n, float scale) {
  const std::int64_t pieces = ceil_div(n, kPiece);
  const Workspace workspace(static_cast<std::size_t>(rows * pieces) * sizeof(double));
  auto* sums = reinterpret_cast<double*>(workspace.bytes());
  for_each_row(rows * pieces, std::min(n, kPiece), [&](std::int64_t piece) {
    const std::int64_t row = piece / pieces, begin = piece % pieces * kPiece;
    sums[piece] = static_cast<double>(kernels().sum_row(x + row * n + begin, std::min(kPiece, n - begin)));
  });
  for (std::int64_t row = 0; row < rows; ++row) {
    double total = 0;
    for (std::int64_t piece = 0; piece < pieces; ++piece) total += sums[row * pieces + piece];
    const float scaled = static_cast<float>(static_cast<double>(scale) * total);
    out.data[row] = out.accumulate ? out.data[row] + scaled : scaled;
  }
}

}  // namespace

void sum_axis(GradientTarget<> out, const float* x, std::int64_t outer, std::int64_t n, std::int64_t inner,
              float scale) {
  if (inner == 1) return sum_rows(out, x, outer, n, scale);
  for_each_column_block(outer, n, inner, [&](std::int64_t o, std::int64_t first, std::int64_t columns) {
    kernels().of<float>().sum_columns(out.data + o * inner + first, x + o * n * inner + first, n, columns,
                                      inner, scale, out.accumulate);
  });
}

// ---- The differentiable ops ----

namespace {

// A Cut says how an axis divides x into (outer, n, inner), and which shape the result has.
struct Cut {
  std::int64_t outer = 1, n = 1, inner = 1;
  Shape left;
};

Cut cut_at(const char* op, const Tensor& x, int axis, bool keepdim) {
  if (axis < 0 || axis >= x.rank())
    fail(op, ": axis ", axis, " of a tensor ", x.shape(), " does not exist, expected 0 <= axis < ", x.rank());
  Cut cut;
  for (int i = 0; i < x.rank(); ++i) {
    (i < axis ? cut.outer : i == axis ? cut.n : cut.inner) *= x.dim(i);
    if (i != axis) cut.left[cut.left.rank++] = x.dim(i);
    if (i == axis && keepdim) cut.left[cut.left.rank++] = 1;
  }
  return cut;
}

Cut cut_whole(const Tensor& x) {
  return {1, x.numel(), 1, Shape{}};
}

void sum_backward(Gradients& gradients, const Tensor& y, const Tensor& x, Cut cut, float scale) {
  const float* dy = gradients.of(y);
  const GradientTarget dx = gradients.target(x);
  // each row of `inner` elements of dy is repeated n times; if inner is 1, each element becomes a row of n
  // elements
  const std::int64_t row_length = cut.inner == 1 ? cut.n : cut.inner;
  parallel_for(x.numel(), kTaskElements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end;) {
      const std::int64_t row = i / row_length, column = i % row_length,
                         count = std::min(end - i, row_length - column);
      const float* source = cut.inner == 1 ? dy + row : dy + row / cut.n * cut.inner + column;
      kernels().add_scaled(dx.data + i, source, count, cut.inner == 1 ? 0 : 1, scale, dx.accumulate);
      i += count;
    }
  });
}

Tensor scaled_sum(Tape& tape, const char* name, const Tensor& view, Cut cut, float scale) {
  const Tensor x = contiguous(tape, view);
  const Tensor y = tape.output(cut.left, {x});
  const auto scope = tape.scope(name, y, moving({x, y}));
  sum_axis({y.f32(), false}, x.f32(), cut.outer, cut.n, cut.inner, scale);
  tape.record(name, {y}, {x}, moving({y, x}),
              [=](Gradients& gradients) { sum_backward(gradients, y, x, cut, scale); });
  return y;
}

void max_backward(Gradients& gradients, const Tensor& y, const Tensor& x, Cut cut) {
  const float* dy = gradients.of(y);
  float* dx = gradients.sum_into(x);
  for_each_column_block(
      cut.outer, cut.n, cut.inner, [&](std::int64_t o, std::int64_t first, std::int64_t columns) {
        for (std::int64_t i = first; i < first + columns; ++i) {
          const std::int64_t column = o * cut.n * cut.inner + i, out = o * cut.inner + i;
          const std::int64_t k = first_maximum(x.f32() + column, y.f32()[out], cut.n, cut.inner);
          dx[column + k * cut.inner] += dy[out];
        }
      });
}

Tensor maximum(Tape& tape, const Tensor& view, Cut cut) {
  if (cut.n == 0) fail("max: there are no elements, expected at least one: x is ", view.shape());
  const Tensor x = contiguous(tape, view);
  const Tensor y = tape.output(cut.left, {x});
  const auto scope = tape.scope("max", y, moving({x, y}));
  const std::int64_t n = cut.n, inner = cut.inner;
  if (inner == 1) {
    for_each_row(cut.outer, n,
                 [&](std::int64_t row) { y.f32()[row] = kernels().max_row(x.f32() + row * n, n); });
  } else {
    for_each_column_block(cut.outer, n, inner, [&](std::int64_t o, std::int64_t first, std::int64_t columns) {
      kernels().max_columns(y.f32() + o * inner + first, x.f32() + o * n * inner + first, n, columns, inner);
    });
  }
  tape.record("max", {y}, {x}, moving({y, x, x}),
              [=](Gradients& gradients) { max_backward(gradients, y, x, cut); });
  return y;
}

float one_over(const char* op, std::int64_t n) {
  if (n == 0) fail(op, ": there are no elements, expected at least one");
  return 1.0f / static_cast<float>(n);
}

}  // namespace

Tensor sum(Tape& tape, const Tensor& x, int axis, bool keepdim) {
  return scaled_sum(tape, "sum", x, cut_at("sum", x, axis, keepdim), 1.0f);
}

Tensor mean(Tape& tape, const Tensor& x, int axis, bool keepdim) {
  const Cut cut = cut_at("mean", x, axis, keepdim);
  return scaled_sum(tape, "mean", x, cut, one_over("mean", cut.n));
}

Tensor max(Tape& tape, const Tensor& x, int axis, bool keepdim) {
  return maximum(tape, x, cut_at("max", x, axis, keepdim));
}

Tensor sum(Tape& tape, const Tensor& x) {
  return scaled_sum(tape, "sum", x, cut_whole(x), 1.0f);
}

Tensor mean(Tape& tape, const Tensor& x) {
  return scaled_sum(tape, "mean", x, cut_whole(x), one_over("mean", x.numel()));
}

Tensor max(Tape& tape, const Tensor& x) {
  return maximum(tape, x, cut_whole(x));
}

}  // namespace inkling
