#include "ops/linear_cross_entropy.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/cross_entropy.h"
#include "ops/gemm.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

struct Head {
  const float* x;
  const float* wte;
  const std::int32_t* targets;
  std::int64_t N, C, vocab, Vp;  // N rows of x
};

// Rows a chunk: as many as make 64 MiB of logits. Fewer, and wte and dwte, which every chunk reads or writes
// whole, would cost more than the arithmetic on them hides.
std::int64_t chunk_rows(const Head& h) {
  constexpr std::int64_t kLogits = 1 << 24, kRound = 64;
  const std::int64_t most = std::max(kRound, kLogits / h.Vp / kRound * kRound);
  const std::int64_t even = ceil_div(h.N, ceil_div(h.N, most));  // no small remainder at the end
  return ceil_div(even, kRound) * kRound;
}

// Rows a task of the loss: about 16 Ki logits.
std::int64_t task_rows(const Head& h) {
  return std::max<std::int64_t>(1, (1 << 14) / h.Vp);
}

// Calls f(begin, count, logits) for one chunk of rows after another, with logits = x wte^T (count,Vp) to do
// with as it likes.
template <class F>
void for_each_chunk(const Head& h, F&& f) {
  const std::int64_t step = std::min(h.N, chunk_rows(h));
  const Workspace logits(static_cast<std::size_t>(step * h.Vp) * sizeof(float));
  for (std::int64_t begin = 0; begin < h.N; begin += step) {
    const std::int64_t count = std::min(step, h.N - begin);
    gemm(logits.floats(), h.Vp, rows(h.x + begin * h.C, h.C), rows(h.wte, h.C).transposed(), count, h.Vp, h.C,
         nullptr, false);
    f(begin, count, logits.floats());
  }
}

void losses_only(float* losses, const Head& h) {
  const Workspace statistics(static_cast<std::size_t>(2 * h.N) * sizeof(float));
  float *row_max = statistics.floats(), *row_sum = row_max + h.N;
  for_each_chunk(h, [&](std::int64_t begin, std::int64_t count, const float* logits) {
    parallel_for(count, task_rows(h), [&](std::int64_t r, std::int64_t end) {
      kernels().cross_entropy_forward(losses + begin + r, row_max + begin + r, row_sum + begin + r,
                                      logits + r * h.Vp, h.targets + begin + r, end - r, h.vocab, h.Vp);
    });
  });
}

// dx assigned (nullptr: not wanted), dwte as told (data nullptr: not wanted); both times scale.
void losses_and_gradients(float* losses, float* dx, GradientTarget<> dwte, const Head& h, float scale) {
  for_each_chunk(h, [&](std::int64_t begin, std::int64_t count, float* logits) {
    parallel_for(count, task_rows(h), [&](std::int64_t r, std::int64_t end) {
      kernels().cross_entropy_in_place(losses + begin + r, logits + r * h.Vp, h.targets + begin + r, scale,
                                       end - r, h.vocab, h.Vp);
    });
    const MatrixView dlogits = rows(logits, h.Vp);
    if (dx != nullptr) {
      gemm(dx + begin * h.C, h.C, dlogits, rows(h.wte, h.C), count, h.C, h.Vp, nullptr, false);
    }
    if (dwte.data != nullptr) {
      gemm(dwte.data, h.C, dlogits.transposed(), rows(h.x + begin * h.C, h.C), h.Vp, h.C, count, nullptr,
           dwte.accumulate || begin > 0);
    }
  });
}

void backward(Gradients& gradients, const Tensor& loss, const Tensor& x, const float* kept_dx,
              float loss_scale) {
  const float seed = *gradients.of(loss);
  if (seed != loss_scale) {
    fail("linear_cross_entropy: backward's seed is ", seed, ", expected the loss_scale of the forward pass, ",
         loss_scale);
  }
  if (kept_dx == nullptr) return;
  constexpr std::int64_t kElements = 1 << 14;
  const GradientTarget dx = gradients.target(x);
  parallel_for(x.numel(), kElements, [&](std::int64_t begin, std::int64_t end) {
    if (!dx.accumulate) {
      std::copy(kept_dx + begin, kept_dx + end, dx.data + begin);
    } else {
      for (std::int64_t i = begin; i < end; ++i) dx.data[i] += kept_dx[i];
    }
  });
}

void check_shapes(const Tensor& x, const Tensor& wte, const Tensor& targets, std::int64_t vocab) {
  const char* op = "linear_cross_entropy";
  const Shape& s = x.shape();
  const std::int64_t C = s.back();
  if (s.rank == 0 || !x.contiguous()) fail(op, ": x is ", s, ", expected a contiguous (..., C)");
  if (wte.rank() != 2 || wte.dim(1) != C) fail(op, ": wte is ", wte.shape(), ", expected (Vp, C=", C, ")");
  if (!wte.contiguous()) fail(op, ": wte ", wte.shape(), " is not contiguous");
  Shape leading = s;
  leading[--leading.rank] = 0;
  if (!(targets.shape() == leading))
    fail(op, ": targets is ", targets.shape(), ", expected ", leading, " as x is ", s);
  if (!targets.contiguous()) fail(op, ": targets ", targets.shape(), " is not contiguous");
  if (vocab < 1 || vocab > wte.dim(0)) fail(op, ": vocab is ", vocab, ", expected 1 to Vp=", wte.dim(0));
}

}  // namespace

Tensor linear_cross_entropy(Tape& tape, const Tensor& x, const Tensor& wte, const Tensor& targets,
                            std::int64_t vocab, float loss_scale) {
  check_shapes(x, wte, targets, vocab);
  const std::int64_t N = targets.numel();
  const Head head{x.f32(), wte.f32(), targets.i32(), N, x.shape().back(), vocab, wte.dim(0)};
  const std::int64_t counted = count_targets("linear_cross_entropy", head.targets, N, vocab);
  if (counted == 0)
    fail("linear_cross_entropy: all ", N, " targets are -1, expected one at least that counts");

  const Tensor loss = tape.output({}, {x, wte});
  float* losses = tape.keep(N);
  float* dx = x.has_gradient() ? tape.keep(x.numel()) : nullptr;
  const std::int64_t products = 1 + (x.has_gradient() ? 1 : 0) + (wte.has_gradient() ? 1 : 0);
  const auto scope =
      tape.scope("linear_cross_entropy", loss, multiplying(products * x.numel() * head.Vp, {x, wte}));
  if (loss.has_gradient()) {
    const auto dwte = wte.has_gradient() ? tape.leaf_gradient(wte) : GradientTarget<>{nullptr, false};
    losses_and_gradients(losses, dx, dwte, head, loss_scale / static_cast<float>(counted));
  } else {
    losses_only(losses, head);
  }
  *loss.f32() = static_cast<float>(sum_losses(losses, N) / static_cast<double>(counted));
  // wte's gradient is complete already; naming it here puts the check of the seed on the tape even if x has
  // no gradient.
  tape.record("linear_cross_entropy", {loss}, {x, wte}, moving({x, x}),
              [=](Gradients& gradients) { backward(gradients, loss, x, dx, loss_scale); });
  return loss;
}

void linear_token_losses(float* losses, const float* x, const float* wte, const std::int32_t* targets,
                         std::int64_t N, std::int64_t C, std::int64_t vocab, std::int64_t Vp) {
  count_targets("linear_token_losses", targets, N, vocab);
  losses_only(losses, {x, wte, targets, N, C, vocab, Vp});
}

}  // namespace inkling
