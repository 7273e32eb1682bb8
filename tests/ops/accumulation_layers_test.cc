// Gradients of the layers of a model add up (tests/ops/accumulation.h).
#include "tests/ops/accumulation.h"

#include "core/error.h"
#include "core/recompute.h"
#include "ops/attention/attention.h"
#include "ops/elementwise.h"
#include "ops/gelu.h"
#include "ops/gemm/gemm_bf16.h"
#include "ops/layernorm.h"
#include "ops/linear.h"

namespace inkling {
namespace {

using namespace inkling::test;

std::vector<double> linear_in_double(const Values& x, std::size_t at, bool bias, std::int64_t M,
                                     std::int64_t IC, std::int64_t OC) {
  std::vector<double> y(static_cast<std::size_t>(M * OC));
  reference::linear_forward(y.data(), x[at].data(), x[at + 1].data(), bias ? x[at + 2].data() : nullptr, M,
                            IC, OC);
  return y;
}

constexpr std::int64_t kM = 5, kIC = 7, kOC = 6;

// The bf16 copies of a weight, packed for forward and for backward.
struct Packed {
  Pages forward, backward;

  Packed()
      : forward(static_cast<std::size_t>(packed_b_count(kOC, kIC)) * sizeof(bf16)),
        backward(static_cast<std::size_t>(packed_b_count(kIC, kOC)) * sizeof(bf16)) {}
  Weight of(const Tensor& values) const {
    auto *f = reinterpret_cast<bf16*>(forward.data()), *b = reinterpret_cast<bf16*>(backward.data());
    pack_weight_rows(f, b, values.f32(), kOC, kIC, 0, kOC);
    return {values, f, b};
  }
};

TEST_CASE("accumulation: the gradients of linear add up, with and without a bias") {
  const std::vector<Argument> arguments = {argument({kM, kIC}, 1), argument({kOC, kIC}, 2),
                                           argument({kOC}, 3)};
  check_gradients({"linear", arguments,
                   [](const Values& x) { return linear_in_double(x, 0, true, kM, kIC, kOC); },
                   [](Tape& t, const std::vector<Tensor>& x) { return linear(t, x[0], x[1], x[2]); }});
  check_gradients({"linear without a bias",
                   {arguments[0], arguments[1]},
                   [](const Values& x) { return linear_in_double(x, 0, false, kM, kIC, kOC); },
                   [](Tape& t, const std::vector<Tensor>& x) { return linear(t, x[0], x[1], Tensor{}); }});
}

TEST_CASE("accumulation: the gradients of linear_add add up, and the residual gets the gradient unchanged") {
  check_gradients(
      {"linear_add",
       {argument({kM, kOC}, 4), argument({kM, kIC}, 1), argument({kOC, kIC}, 2), argument({kOC}, 3)},
       [](const Values& x) {
         std::vector<double> y = linear_in_double(x, 1, true, kM, kIC, kOC);
         for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[0][i];
         return y;
       },
       [](Tape& t, const std::vector<Tensor>& x) { return linear_add(t, x[0], x[1], x[2], x[3]); }});
}

TEST_CASE("accumulation: the gradients of linear and linear_add add up in bf16") {
  const Argument x16 = in_bf16({kM, kIC}, 1), x32 = argument({kM, kIC}, 1), w = argument({kOC, kIC}, 2),
                 b = argument({kOC}, 3), r = argument({kM, kOC}, 4);
  const Packed packed;
  const auto in_double = [](const Values& x) { return linear_in_double(x, 0, true, kM, kIC, kOC); };
  const auto on_tape = [&](Tape& t, const std::vector<Tensor>& x) {
    return linear(t, x[0], packed.of(x[1]), x[2]);
  };
  check_gradients({"linear, x in bf16", {x16, w, b}, in_double, on_tape, kBf16});
  check_gradients({"linear, x in f32", {x32, w, b}, in_double, on_tape, kBf16});
  check_gradients({"linear_add, x in bf16",
                   {x16, w, b, r},
                   [&](const Values& x) {
                     std::vector<double> y = in_double(x);
                     for (std::size_t i = 0; i < y.size(); ++i) y[i] += x[3][i];
                     return y;
                   },
                   [&](Tape& t, const std::vector<Tensor>& x) {
                     return linear_add(t, x[3], x[0], packed.of(x[1]), x[2]);
                   },
                   kBf16});
}

TEST_CASE("accumulation: the gradients of layernorm add up, also without dx, for y in f32 and in bf16") {
  const std::int64_t rows = 35, C = 5;  // two tasks of rows
  const auto in_double = [=](const Values& x) {
    std::vector<double> y(x[0].size()), mean(rows), rstd(rows);
    reference::layernorm_forward<double>(
        {y.data(), mean.data(), rstd.data(), x[0].data(), x[1].data(), x[2].data(), rows, C});
    return y;
  };
  for (const DType out : {DType::f32, DType::bf16}) {
    check_gradients(
        {str("layernorm to ", name(out)),
         {argument({rows, C}, 1), argument({C}, 2), argument({C}, 3)},
         in_double,
         [=](Tape& t, const std::vector<Tensor>& x) { return layernorm(t, x[0], x[1], x[2], out); },
         {5e-4, 1e-4}});
  }
}

TEST_CASE("accumulation: the gradients of gelu and attention add up, in f32 and in bf16") {
  const std::int64_t B = 2, T = 4, C = 4, NH = 2;
  const auto gelu_in_double = [](const Values& x) {
    std::vector<double> y(x[0].size());
    reference::gelu_forward(y.data(), x[0].data(), std::ssize(y));
    return y;
  };
  const auto attention_in_double = [=](const Values& x) {
    std::vector<double> y(B * T * C), max(B * NH * T), inverse_sum(max.size());
    reference::attention_forward(y.data(), max.data(), inverse_sum.data(), x[0].data(), B, T, C, NH);
    return y;
  };
  const auto gelu_on_tape = [](Tape& t, const std::vector<Tensor>& x) { return gelu(t, x[0]); };
  const auto attention_on_tape = [=](Tape& t, const std::vector<Tensor>& x) {
    return attention(t, x[0], NH);
  };
  check_gradients({"gelu", {argument({3, 7}, 1)}, gelu_in_double, gelu_on_tape});
  check_gradients({"gelu in bf16", {in_bf16({3, 7}, 1)}, gelu_in_double, gelu_on_tape, kBf16});
  check_gradients({"attention", {argument({B, T, 3 * C}, 1)}, attention_in_double, attention_on_tape});
  check_gradients(
      {"attention in bf16", {in_bf16({B, T, 3 * C}, 1)}, attention_in_double, attention_on_tape, kBf16});
}

TEST_CASE("accumulation: the gradients of a recomputed function that uses its input twice add up") {
  // exp(x) gelu(x)
  check_gradients({"recompute",
                   {argument({3, 7}, 1)},
                   [](const Values& x) {
                     std::vector<double> y(x[0].size());
                     reference::gelu_forward(y.data(), x[0].data(), std::ssize(y));
                     for (std::size_t i = 0; i < y.size(); ++i) y[i] *= std::exp(x[0][i]);
                     return y;
                   },
                   [](Tape& t, const std::vector<Tensor>& x) {
                     return recompute(t, x[0], [](Tape& inner, const Tensor& in) {
                       return mul(inner, exp(inner, in), gelu(inner, in));
                     });
                   },
                   {1e-3, 1e-4}});
}

}  // namespace
}  // namespace inkling
