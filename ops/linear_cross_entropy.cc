#include "ops/linear_cross_entropy.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"
#include "ops/cross_entropy.h"
#include "ops/gemm/gemm.h"
#include "ops/gemm/gemm_bf16.h"
#include "ops/grain.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

// kStream: write the logits and dwte past the caches. With a large vocabulary, neither of them fits into a
// cache. With a small vocabulary, writing past the caches makes no difference.
constexpr bool kStream = true;

struct Head {
  Tensor x;  // (..., C)
  Weight wte;
  const std::int32_t* targets;
  std::int64_t N, C, vocab, Vp;  // N is the number of rows of x

  bool in_bf16() const { return wte.packed != nullptr; }
  TargetRows target_rows(std::int64_t begin, std::int64_t end) const {
    return {targets + begin, end - begin, vocab, Vp};
  }
  // Calls f(X), where X is the matrix of the rows of x from row `begin` on: MatrixIn<float> or
  // MatrixIn<bf16>.
  template <class F>
  void with_x_from(std::int64_t begin, F f) const {
    if (x.dtype() == DType::bf16) return f(rows(x.data<bf16>() + begin * C, C));
    f(rows(x.f32() + begin * C, C));
  }
};

// Returns the number of rows in a chunk: as many rows as have 128 MiB of logits. Each chunk reads all of wte
// and writes all of dwte. With smaller chunks, this memory traffic takes more time than the arithmetic:
// chunks with half as many rows take 1.2 times as long.
std::int64_t chunk_rows(const Head& h) {
  constexpr std::int64_t kLogits = 1 << 25, kRound = 64;
  const std::int64_t most = std::max(kRound, kLogits / h.Vp / kRound * kRound);
  const std::int64_t even =
      ceil_div(h.N, ceil_div(h.N, most));  // all chunks are about equal, without a small one at the end
  return ceil_div(even, kRound) * kRound;
}

// Calls f(begin, count, logits) for one chunk of rows after another, where logits = x wte^T (count,Vp). f may
// overwrite the logits.
template <class F>
void for_each_chunk(const Head& h, F&& f) {
  if (h.N == 0) return;
  const std::int64_t step = std::min(h.N, chunk_rows(h));
  const Workspace logits(static_cast<std::size_t>(step * h.Vp) * sizeof(float));
  for (std::int64_t begin = 0; begin < h.N; begin += step) {
    const std::int64_t count = std::min(step, h.N - begin);
    h.with_x_from(begin, [&](const auto& x) {
      const MatrixOut<float> out{logits.floats(), h.Vp, nullptr, nullptr, kStream};
      multiply_by_weight(out, x, h.wte, count);
    });
    f(begin, count, logits.floats());
  }
}

void losses_only(float* losses, const Head& h) {
  const Workspace statistics(static_cast<std::size_t>(2 * h.N) * sizeof(float));
  float *row_max = statistics.floats(), *row_sum = row_max + h.N;
  for_each_chunk(h, [&](std::int64_t begin, std::int64_t count, const float* logits) {
    parallel_for(count, task_rows(h.Vp), [&](std::int64_t r, std::int64_t end) {
      kernels().cross_entropy_forward(losses + begin + r, row_max + begin + r, row_sum + begin + r,
                                      logits + r * h.Vp, h.target_rows(begin + r, begin + end));
    });
  });
}

// Computes dx (count,C) and dwte from a chunk's dlogits. dx is assigned; dwte is assigned or added to,
// depending on dwte.accumulate. dx and dwte.data may be nullptr; then this gradient is not computed.
void gradients_in_f32(float* dx, GradientTarget<> dwte, const Head& h, const float* dlogits,
                      std::int64_t begin, std::int64_t count) {
  const MatrixIn<float> d = rows(dlogits, h.Vp);
  if (dx != nullptr) gemm({dx, h.C}, d, rows(h.wte.values.f32(), h.C), {count, h.C, h.Vp});
  if (dwte.data == nullptr) return;
  gemm(assign_or_add(dwte.data, h.C, dwte.accumulate), d.transposed(), rows(h.x.f32() + begin * h.C, h.C),
       {h.Vp, h.C, count});
}

// gradients_in_bf16() computes the same as gradients_in_f32(), in bf16. The dlogits are bf16, in the first
// half of each row of logits.
void gradients_in_bf16(float* dx, GradientTarget<> dwte, const Head& h, const float* dlogits,
                       std::int64_t begin, std::int64_t count) {
  const MatrixIn<bf16> d = rows(reinterpret_cast<const bf16*>(dlogits), 2 * h.Vp);
  if (dx != nullptr) gemm_bf16(MatrixOut<float>{dx, h.C}, d, h.wte.packed_transposed, {count, h.C, h.Vp});
  if (dwte.data == nullptr) return;
  MatrixOut<float> out = assign_or_add(dwte.data, h.C, dwte.accumulate);
  out.stream = kStream;
  h.with_x_from(begin, [&](const auto& x) { gemm_bf16(out, d.transposed(), x, {h.Vp, h.C, count}); });
}

// Computes the losses of all rows, and dx and dwte multiplied by scale.
void losses_and_gradients(float* losses, float* dx, GradientTarget<> dwte, const Head& h, float scale) {
  const auto cross_entropy = h.in_bf16() ? kernels().of<bf16>().cross_entropy_in_place
                                         : kernels().of<float>().cross_entropy_in_place;
  const auto gradients = h.in_bf16() ? gradients_in_bf16 : gradients_in_f32;
  for_each_chunk(h, [&](std::int64_t begin, std::int64_t count, float* logits) {
    parallel_for(count, task_rows(h.Vp), [&](std::int64_t r, std::int64_t end) {
      cross_entropy(losses + begin + r, logits + r * h.Vp, scale, h.target_rows(begin + r, begin + end));
    });
    gradients(dx == nullptr ? nullptr : dx + begin * h.C, dwte, h, logits, begin, count);
    dwte.accumulate = true;
  });
}

void backward(Gradients& gradients, const Tensor& loss, const Tensor& x, const float* kept_dx) {
  const float dloss = *gradients.of(loss);
  if (dloss != 1.0f) {
    fail("linear_cross_entropy: the gradient of the loss is ", dloss,
         ", expected 1: the gradients were computed in the forward pass");
  }
  if (kept_dx == nullptr) return;
  if (x.dtype() == DType::bf16) {
    const GradientTarget dx = gradients.target<bf16>(x);
    parallel_for(x.numel(), kTaskElements, [&](std::int64_t begin, std::int64_t end) {
      if (!dx.accumulate) return kernels().narrow(dx.data + begin, kept_dx + begin, end - begin);
      for (std::int64_t i = begin; i < end; ++i) dx.data[i] = to_bf16(to_float(dx.data[i]) + kept_dx[i]);
    });
    return;
  }
  const GradientTarget dx = gradients.target(x);
  parallel_for(x.numel(), kTaskElements, [&](std::int64_t begin, std::int64_t end) {
    kernels().add_scaled(dx.data + begin, kept_dx + begin, end - begin, 1, 1.0f, dx.accumulate);
  });
}

// Checks all arguments of `op` except the values of the targets. Errors name `op`.
Head checked_head(const char* op, const Tensor& x, const Weight& weight, const Tensor& targets,
                  std::int64_t vocab) {
  const Tensor& wte = weight.values;
  const Shape& s = x.shape();
  const std::int64_t C = s.back();
  if (s.rank == 0 || !x.contiguous()) fail(op, ": x is ", s, ", expected a contiguous (..., C)");
  if (wte.rank() != 2 || wte.dim(1) != C) fail(op, ": wte is ", wte.shape(), ", expected (Vp, C=", C, ")");
  if (!wte.contiguous()) fail(op, ": wte ", wte.shape(), " is not contiguous, expected a contiguous tensor");
  if (!(targets.shape() == s.leading()))
    fail(op, ": targets is ", targets.shape(), ", expected ", s.leading(), ", the shape of x ", s,
         " without its last axis");
  if (!targets.contiguous())
    fail(op, ": targets ", targets.shape(), " is not contiguous, expected a contiguous tensor");
  if (x.dtype() != DType::f32 && x.dtype() != DType::bf16)
    fail(op, ": x ", s, ": dtype is ", name(x.dtype()), ", expected f32 or bf16");
  check_dtype(op, "wte", wte, DType::f32);
  check_dtype(op, "targets", targets, DType::i32);
  if (vocab < 1 || vocab > wte.dim(0)) fail(op, ": vocab is ", vocab, ", expected 1 to Vp=", wte.dim(0));
  if (x.dtype() == DType::bf16 && weight.packed == nullptr)
    fail(op, ": x is bf16 and wte is not packed, expected a wte with a packed bf16 copy");
  return {x, weight, targets.i32(), targets.numel(), C, vocab, wte.dim(0)};
}

}  // namespace

Tensor linear_cross_entropy(Tape& tape, const Tensor& x, const Weight& weight, const Tensor& targets,
                            std::int64_t vocab, std::int64_t mean_over) {
  const Head head = checked_head("linear_cross_entropy", x, weight, targets, vocab);
  const Tensor& wte = weight.values;
  if (weight.int8.q != nullptr && (x.has_gradient() || wte.has_gradient())) {
    fail("linear_cross_entropy: wte ", wte.shape(),
         " has 8 bits, expected f32 or bf16: weights of 8 bits have no backward");
  }
  if (x.has_gradient() && weight.packed != nullptr && weight.packed_transposed == nullptr) {
    fail("linear_cross_entropy: wte ", wte.shape(),
         " was packed without the copy that backward needs, expected packed_transposed");
  }
  const std::int64_t N = head.N;
  const std::int64_t counted = count_targets("linear_cross_entropy", head.targets, N, vocab);
  if (mean_over == 0 && counted == 0)
    fail("linear_cross_entropy: all ", N, " targets are -1, expected at least one token id");
  if (mean_over != 0 && mean_over < counted)
    fail("linear_cross_entropy: mean_over is ", mean_over, ", expected at least ", counted,
         ", the number of targets that are not -1");
  const std::int64_t divisor = mean_over == 0 ? counted : mean_over;

  const Tensor loss = tape.output({}, {x, wte});
  float* losses = tape.keep(N);
  float* dx = x.has_gradient() ? tape.keep(x.numel()) : nullptr;
  const std::int64_t products = 1 + (x.has_gradient() ? 1 : 0) + (wte.has_gradient() ? 1 : 0);
  const auto scope =
      tape.scope("linear_cross_entropy", loss, multiplying(products * x.numel() * head.Vp, {x, wte}));
  if (loss.has_gradient()) {
    const auto dwte = wte.has_gradient() ? tape.leaf_gradient(wte, loss) : GradientTarget<>{nullptr, false};
    losses_and_gradients(losses, dx, dwte, head, 1.0f / static_cast<float>(divisor));
  } else {
    losses_only(losses, head);
  }
  *loss.f32() = static_cast<float>(sum_losses(losses, N) / static_cast<double>(divisor));
  // The gradient of wte is complete already. wte is in the list so that the node is recorded even if x has no
  // gradient: the node checks the gradient of the loss.
  tape.record("linear_cross_entropy", {loss}, {x, wte}, moving({x, x}),
              [=](Gradients& gradients) { backward(gradients, loss, x, dx); });
  return loss;
}

void linear_token_losses(float* losses, const Tensor& x, const Weight& wte, const Tensor& targets,
                         std::int64_t vocab) {
  const Head head = checked_head("linear_token_losses", x, wte, targets, vocab);
  count_targets("linear_token_losses", head.targets, head.N, vocab);
  losses_only(losses, head);
}

}  // namespace inkling
