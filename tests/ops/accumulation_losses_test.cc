// Gradients of losses and of tables add up (tests/ops/accumulation.h).
#include "tests/ops/accumulation.h"

#include "core/error.h"
#include "core/memory.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/gather.h"
#include "ops/gemm/gemm_bf16.h"
#include "ops/linear_cross_entropy.h"
#include "ops/softmax.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("accumulation: the gradients of softmax and cross_entropy add up") {
  const std::int64_t rows = 4, V = 6, Vp = 8;
  std::vector<std::int32_t> targets = {5, -1, 0, 3};
  check_gradients({"softmax",
                   {argument({rows, V}, 1)},
                   [=](const Values& x) {
                     std::vector<double> y(x[0].size());
                     reference::softmax_forward(y.data(), x[0].data(), rows, V);
                     return y;
                   },
                   [](Tape& t, const std::vector<Tensor>& x) { return softmax(t, x[0]); }});
  check_gradients({"cross_entropy",
                   {argument({rows, Vp}, 1)},
                   [&](const Values& x) {
                     std::vector<double> losses(rows);
                     reference::cross_entropy_forward(losses.data(), x[0].data(), targets.data(), rows, V,
                                                      Vp);
                     return std::vector<double>{(losses[0] + losses[2] + losses[3]) / 3};
                   },
                   [&](Tape& t, const std::vector<Tensor>& x) {
                     return cross_entropy(t, x[0], Tensor(targets.data(), {rows}), V);
                   }});
}

TEST_CASE("accumulation: linear_cross_entropy adds to its table's gradient, which its forward pass writes") {
  const std::int64_t N = 4, C = 5, V = 6, Vp = 8;
  std::vector<std::int32_t> targets = {5, -1, 0, 3};
  Argument wte = argument({Vp, C}, 2);
  wte.only_as_leaf = true;
  const auto in_double = [&](const Values& x) {
    std::vector<double> logits(N * Vp), losses(N);
    reference::linear_forward<double>(logits.data(), x[0].data(), x[1].data(), nullptr, N, C, Vp);
    reference::cross_entropy_forward(losses.data(), logits.data(), targets.data(), N, V, Vp);
    return std::vector<double>{(losses[0] + losses[2] + losses[3]) / 3};
  };
  const Tensor target(targets.data(), {N});
  check_gradients({"linear_cross_entropy",
                   {argument({N, C}, 1), wte},
                   in_double,
                   [&](Tape& t, const std::vector<Tensor>& x) {
                     return linear_cross_entropy(t, x[0], x[1], target, V);
                   }});
  Pages forward(static_cast<std::size_t>(packed_b_count(Vp, C)) * sizeof(bf16)),
      backward(static_cast<std::size_t>(packed_b_count(C, Vp)) * sizeof(bf16));
  auto *f = reinterpret_cast<bf16*>(forward.data()), *b = reinterpret_cast<bf16*>(backward.data());
  pack_weight_rows(f, b, wte.values.data(), Vp, C, 0, Vp);
  for (const Argument& x : {in_bf16({N, C}, 1), argument({N, C}, 1)}) {
    check_gradients({str("linear_cross_entropy in bf16, x ", name(x.dtype)),
                     {x, wte},
                     in_double,
                     [&](Tape& t, const std::vector<Tensor>& in) {
                       return linear_cross_entropy(t, in[0], Weight(in[1], f, b), target, V);
                     },
                     {0.01, 0.03}});
  }
}

TEST_CASE("accumulation: the gradients of embedding, gather and pick add up, also when ids repeat") {
  const std::int64_t B = 2, T = 3, C = 4, V = 5, maxT = 6;
  std::vector<std::int32_t> ids = {1, 4, 1, 0, 1, 4}, column = {3, 0, 3, 1, 2};
  for (const std::int64_t first : {0, 1, 3}) {
    check_gradients({str("embedding from position ", first),
                     {argument({V, C}, 1), argument({maxT, C}, 2)},
                     [&](const Values& x) {
                       std::vector<double> y(B * T * C);
                       reference::embedding_forward(y.data(), x[0].data(), x[1].data() + first * C,
                                                    ids.data(), B, T, C);
                       return y;
                     },
                     [&](Tape& t, const std::vector<Tensor>& x) {
                       return embedding(t, x[0], x[1], Tensor(ids.data(), {B, T}), V, first);
                     }});
  }
  check_gradients({"gather",
                   {argument({V, C}, 1)},
                   [&](const Values& x) {
                     std::vector<double> y(B * T * C);
                     reference::gather_forward(y.data(), x[0].data(), ids.data(), B * T, C);
                     return y;
                   },
                   [&](Tape& t, const std::vector<Tensor>& x) {
                     return gather(t, x[0], Tensor(ids.data(), {B, T}));
                   }});
  check_gradients(
      {"pick",
       {argument({V, C}, 1)},
       [&](const Values& x) {
         std::vector<double> y(V);
         reference::pick_forward(y.data(), x[0].data(), column.data(), V, C);
         return y;
       },
       [&](Tape& t, const std::vector<Tensor>& x) { return pick(t, x[0], Tensor(column.data(), {V})); }});
}

}  // namespace
}  // namespace inkling
