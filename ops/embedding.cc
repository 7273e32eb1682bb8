#include "ops/embedding.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/elementwise.h"
#include "ops/gather.h"
#include "ops/grain.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference ----

template <class Real>
void reference::embedding_forward(Real* y, const Real* wte, const Real* wpe, const std::int32_t* ids,
                                  std::int64_t B, std::int64_t T, std::int64_t C) {
  for (std::int64_t bt = 0; bt < B * T; ++bt) {
    for (std::int64_t c = 0; c < C; ++c) y[bt * C + c] = wte[ids[bt] * C + c] + wpe[bt % T * C + c];
  }
}

template <class Real>
void reference::embedding_backward(Real* dwte, Real* dwpe, const Real* dy, const std::int32_t* ids,
                                   std::int64_t B, std::int64_t T, std::int64_t C) {
  for (std::int64_t bt = 0; bt < B * T; ++bt) {
    for (std::int64_t c = 0; c < C; ++c) {
      dwte[ids[bt] * C + c] += dy[bt * C + c];
      dwpe[bt % T * C + c] += dy[bt * C + c];
    }
  }
}

template void reference::embedding_forward(float*, const float*, const float*, const std::int32_t*,
                                           std::int64_t, std::int64_t, std::int64_t);
template void reference::embedding_forward(double*, const double*, const double*, const std::int32_t*,
                                           std::int64_t, std::int64_t, std::int64_t);
template void reference::embedding_backward(float*, float*, const float*, const std::int32_t*, std::int64_t,
                                            std::int64_t, std::int64_t);
template void reference::embedding_backward(double*, double*, const double*, const std::int32_t*,
                                            std::int64_t, std::int64_t, std::int64_t);

// ---- The differentiable op ----

namespace {

void backward(Gradients& gradients, const Tensor& y, const Tensor& wte, const Tensor& wpe, const Tensor& ids,
              std::int64_t first_position, const Tensor& positions) {
  const std::int64_t B = ids.dim(0), T = ids.dim(1), C = wte.dim(1);
  const float* dy = gradients.of(y);
  if (wte.has_gradient()) scatter_add(gradients.sum_into(wte), dy, ids.i32(), B * T, C);
  if (!wpe.has_gradient()) return;
  if (positions) return scatter_add(gradients.sum_into(wpe), dy, positions.i32(), B * T, C);
  float* dwpe = gradients.sum_into(wpe) + first_position * C;
  parallel_for(T, task_rows(B * C), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = 0; b < B; ++b) {
      kernels().add_scaled(dwpe + begin * C, dy + (b * T + begin) * C, (end - begin) * C, 1, 1.0f, true);
    }
  });
}

// Error unless there are positions 0 .. maxT-1 for all tokens.
void check_positions(const Tensor& positions, const Tensor& ids, std::int64_t first_position,
                     std::int64_t maxT) {
  const std::int64_t T = ids.dim(1);
  if (!positions) {
    if (first_position >= 0 && first_position <= maxT - T) return;
    fail("embedding: T=", T, " tokens from position ", first_position, " on, expected at most maxT=", maxT,
         " positions");
  }
  check_dtype("embedding", "positions", positions, DType::i32);
  if (!(positions.shape() == ids.shape()) || !positions.contiguous())
    fail("embedding: positions is ", positions.shape(), ", expected a contiguous ", ids.shape(),
         ", the shape of ids");
  for (std::int64_t bt = 0; bt < positions.numel(); ++bt) {
    const std::int32_t position = positions.i32()[bt];
    if (position < 0 || position >= maxT)
      fail("embedding: positions(", bt / T, ", ", bt % T, ") is ", position,
           ", expected 0 .. maxT-1=", maxT - 1);
  }
}

}  // namespace

Tensor embedding(Tape& tape, const Tensor& wte, const Tensor& wpe, const Tensor& ids, std::int64_t vocab,
                 std::int64_t first_position, const Tensor& positions) {
  if (wte.rank() != 2 || !wte.contiguous())
    fail("embedding: wte is ", wte.shape(), ", expected a contiguous (Vp, C)");
  const std::int64_t C = wte.dim(1);
  if (wpe.rank() != 2 || wpe.dim(1) != C || !wpe.contiguous()) {
    fail("embedding: wpe is ", wpe.shape(), ", expected a contiguous (maxT, C=", C, ")");
  }
  check_dtype("embedding", "wte", wte, DType::f32);
  check_dtype("embedding", "wpe", wpe, DType::f32);
  if (ids.rank() != 2) fail("embedding: ids is ", ids.shape(), ", expected (B, T)");
  if (vocab < 0 || vocab > wte.dim(0))
    fail("embedding: vocab is ", vocab, ", expected 0 to ", wte.dim(0), ", the number of rows of wte");
  const std::int64_t B = ids.dim(0), T = ids.dim(1);
  check_positions(positions, ids, first_position, wpe.dim(0));
  check_ids("embedding", ids, vocab);
  const Tensor y = tape.output({B, T, C}, {wte, wpe});
  const auto scope = tape.scope("embedding", y, moving({y, y, y}));  // reads wte and wpe, writes y
  const auto position_of = [=](std::int64_t bt) {
    return positions ? positions.i32()[bt] : first_position + bt % T;
  };
  parallel_for(B * T, task_rows(C), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t bt = begin; bt < end; ++bt) {
      kernels().binary_forward(Binary::add, y.f32() + bt * C, {wte.f32() + ids.i32()[bt] * C, 1},
                               {wpe.f32() + position_of(bt) * C, 1}, C);
    }
  });
  tape.record(
      "embedding", {y}, {wte, wpe},
      moving({y, y, y, y, y}),  // reads dy; reads and writes rows of dwte and dwpe
      [=](Gradients& gradients) { backward(gradients, y, wte, wpe, ids, first_position, positions); });
  return y;
}

}  // namespace inkling
