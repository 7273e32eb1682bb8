#include "ops/gather.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/grain.h"
#include "ops/kernels.h"
#include "ops/views.h"

namespace inkling {

// ---- The reference ----

template <class T>
void reference::gather_forward(T* y, const T* table, const std::int32_t* ids, std::int64_t N,
                               std::int64_t C) {
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t c = 0; c < C; ++c) y[n * C + c] = table[ids[n] * C + c];
  }
}

template <class T>
void reference::gather_backward(T* dtable, const T* dy, const std::int32_t* ids, std::int64_t N,
                                std::int64_t C) {
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t c = 0; c < C; ++c) dtable[ids[n] * C + c] += dy[n * C + c];
  }
}

template <class T>
void reference::pick_forward(T* y, const T* x, const std::int32_t* ids, std::int64_t N, std::int64_t V) {
  for (std::int64_t n = 0; n < N; ++n) y[n] = x[n * V + ids[n]];
}

template <class T>
void reference::pick_backward(T* dx, const T* dy, const std::int32_t* ids, std::int64_t N, std::int64_t V) {
  for (std::int64_t n = 0; n < N; ++n) dx[n * V + ids[n]] += dy[n];
}

template void reference::gather_forward(float*, const float*, const std::int32_t*, std::int64_t,
                                        std::int64_t);
template void reference::gather_forward(double*, const double*, const std::int32_t*, std::int64_t,
                                        std::int64_t);
template void reference::gather_backward(float*, const float*, const std::int32_t*, std::int64_t,
                                         std::int64_t);
template void reference::gather_backward(double*, const double*, const std::int32_t*, std::int64_t,
                                         std::int64_t);
template void reference::pick_forward(float*, const float*, const std::int32_t*, std::int64_t, std::int64_t);
template void reference::pick_forward(double*, const double*, const std::int32_t*, std::int64_t,
                                      std::int64_t);
template void reference::pick_backward(float*, const float*, const std::int32_t*, std::int64_t, std::int64_t);
template void reference::pick_backward(double*, const double*, const std::int32_t*, std::int64_t,
                                       std::int64_t);

// ---- The differentiable ops ----

namespace {

constexpr std::int64_t kColumns = 64;     // a task of scatter_add adds this many columns: whole cache lines
constexpr std::int64_t kPicks = 1 << 12;  // a task of pick has this many rows of x

}  // namespace

void check_ids(const char* op, const Tensor& ids, std::int64_t V) {
  check_dtype(op, "ids", ids, DType::i32);
  if (!ids.contiguous()) fail(op, ": ids ", ids.shape(), " is not contiguous, expected a contiguous tensor");
  const std::int32_t* id = ids.i32();
  for (std::int64_t n = 0; n < ids.numel(); ++n) {
    if (id[n] >= 0 && id[n] < V) continue;
    Shape place = ids.shape();
    for (std::int64_t axis = place.rank - 1, rest = n; axis >= 0; --axis) {
      std::int64_t& size = place[static_cast<int>(axis)];
      const std::int64_t index = rest % size;
      rest /= size;
      size = index;
    }
    fail(op, ": ids", place, " is ", id[n], ", expected 0 <= id < ", V);
  }
}

void scatter_add(float* dtable, const float* dy, const std::int32_t* ids, std::int64_t N, std::int64_t C) {
  parallel_for(C, kColumns, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < N; ++n) {
      kernels().add_scaled(dtable + ids[n] * C + begin, dy + n * C + begin, end - begin, 1, 1.0f, true);
    }
  });
}

Tensor gather(Tape& tape, const Tensor& table, const Tensor& ids) {
  if (table.rank() != 2 || !table.contiguous()) {
    fail("gather: table is ", table.shape(), ", expected a contiguous (V, C)");
  }
  check_dtype("gather", "table", table, DType::f32);
  if (ids.rank() >= Shape::kMaxRank) fail("gather: ids is ", ids.shape(), ", expected three axes or fewer");
  const std::int64_t N = ids.numel(), C = table.dim(1);
  check_ids("gather", ids, table.dim(0));
  Shape shape = ids.shape();
  shape[shape.rank++] = C;
  const Tensor y = tape.output(shape, {table});
  const auto scope = tape.scope("gather", y, moving({y, y}));
  const std::int64_t rows = task_rows(C);
  parallel_for(N, rows, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n)
      std::copy_n(table.f32() + ids.i32()[n] * C, C, y.f32() + n * C);
  });
  tape.record("gather", {y}, {table}, moving({y, y, y}), [=](Gradients& gradients) {
    const float* dy = gradients.of(y);
    scatter_add(gradients.sum_into(table), dy, ids.i32(), N, C);
  });
  return y;
}

Tensor pick(Tape& tape, const Tensor& view, const Tensor& ids) {
  if (view.rank() == 0) fail("pick: x is ", view.shape(), ", expected (..., V)");
  const Shape shape = view.shape().leading();
  const std::int64_t V = view.shape().back(), N = ids.numel();
  if (!(ids.shape() == shape))
    fail("pick: ids is ", ids.shape(), ", expected ", shape, ", the shape of x ", view.shape(),
         " without its last axis");
  check_dtype("pick", "x", view, DType::f32);
  check_ids("pick", ids, V);
  const Tensor x = contiguous(tape, view);
  const Tensor y = tape.output(shape, {x});
  const auto scope = tape.scope("pick", y, moving({y, y}));
  parallel_for(N, kPicks, [&](std::int64_t begin, std::int64_t end) {
    reference::pick_forward(y.f32() + begin, x.f32() + begin * V, ids.i32() + begin, end - begin, V);
  });
  tape.record("pick", {y}, {x}, moving({x, y}), [=](Gradients& gradients) {
    const float* dy = gradients.of(y);
    float* dx = gradients.sum_into(x);
    parallel_for(N, kPicks, [=](std::int64_t begin, std::int64_t end) {
      reference::pick_backward(dx + begin * V, dy + begin, ids.i32() + begin, end - begin, V);
    });
  });
  return y;
}

}  // namespace inkling
