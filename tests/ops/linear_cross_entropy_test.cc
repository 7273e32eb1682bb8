// The fused head, compared with a calculation in double: logits from plain loops, the loss from the reference
// in ops/cross_entropy.h.
#include "ops/linear_cross_entropy.h"

#include "core/parallel.h"
#include "ops/cross_entropy.h"
#include "ops/gemm/gemm_bf16.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Float sums of C = 24 products, and of the rows in dwte.
constexpr Tolerance kFloatTolerance{2e-6, 2e-5};

struct Case {
  std::int64_t B, T, C, vocab, Vp;
  std::vector<float> x, wte;
  std::vector<std::int32_t> targets;
  std::vector<double> losses, dx, dwte;  // the gradients of the mean loss
  double mean = 0;

  std::int64_t counted() const {
    return std::count_if(targets.begin(), targets.end(), [](std::int32_t t) { return t >= 0; });
  }

  Case(std::int64_t B_, std::int64_t T_, std::int64_t C_, std::int64_t vocab_, std::int64_t Vp_,
       DType dtype = DType::f32)
      : B(B_), T(T_), C(C_), vocab(vocab_), Vp(Vp_) {
    const std::int64_t N = B * T;
    x = dtype == DType::f32 ? random_floats(N * C, 1) : random_bf16s(N * C, 1);
    wte = dtype == DType::f32 ? random_floats(Vp * C, 2) : random_bf16s(Vp * C, 2);
    for (std::int64_t i = 0; i < N; ++i)
      targets.push_back(i % 3 == 1 ? -1 : static_cast<std::int32_t>(i * 5 % vocab));
    const auto counted = static_cast<double>(this->counted());
    std::vector<double> logits(static_cast<std::size_t>(N * Vp)), dlogits(logits.size());
    losses.resize(static_cast<std::size_t>(N)), dx.resize(x.size()), dwte.resize(wte.size());
    const auto at = [](std::int64_t row, std::int64_t stride, std::int64_t col) {
      return static_cast<std::size_t>(row * stride + col);
    };
    for (std::int64_t i = 0; i < N; ++i) {
      for (std::int64_t v = 0; v < Vp; ++v) {
        for (std::int64_t c = 0; c < C; ++c) {
          logits[at(i, Vp, v)] += static_cast<double>(x[at(i, C, c)]) * static_cast<double>(wte[at(v, C, c)]);
        }
      }
    }
    reference::cross_entropy_forward(losses.data(), logits.data(), targets.data(), N, vocab, Vp);
    reference::cross_entropy_backward(dlogits.data(), logits.data(), targets.data(), 1 / counted, N, vocab,
                                      Vp);
    for (double l : losses) mean += l / counted;
    for (std::int64_t i = 0; i < N; ++i) {
      for (std::int64_t v = 0; v < Vp; ++v) {
        for (std::int64_t c = 0; c < C; ++c) {
          dx[at(i, C, c)] += dlogits[at(i, Vp, v)] * static_cast<double>(wte[at(v, C, c)]);
          dwte[at(v, C, c)] += dlogits[at(i, Vp, v)] * static_cast<double>(x[at(i, C, c)]);
        }
      }
    }
  }
  Tensor targets_tensor() { return Tensor(targets.data(), {B, T}); }
};

std::vector<double> times(std::vector<double> x, double factor) {
  for (double& v : x) v *= factor;
  return x;
}

std::span<const float> span(const std::vector<float>& x) {
  return x;
}

TEST_CASE(
    "linear_cross_entropy: on every instruction set, loss and gradients agree with the sums in double") {
  for_each_isa([] {
    for (std::int64_t vocab : {3, 61, 64}) {
      INFO("vocab = " << vocab);
      Case c(2, 9, 24, vocab, 64);
      std::vector<float> dx(c.x.size(), NAN), dwte(c.wte.size(), NAN);
      Tape tape;
      const Tensor x = tape.leaf(c.x.data(), dx.data(), {2, 9, 24}, LeafGradient::overwrite);
      const Tensor wte = tape.leaf(c.wte.data(), dwte.data(), {64, 24}, LeafGradient::overwrite);
      const Tensor loss = linear_cross_entropy(tape, x, wte, c.targets_tensor(), vocab, 4 * c.counted());
      CHECK(std::abs(static_cast<double>(loss.item()) - c.mean / 4) < 1e-5 * c.mean);
      tape.backward(loss);
      check_close("dx", span(dx), times(c.dx, 0.25), kFloatTolerance);
      check_close("dwte", span(dwte), times(c.dwte, 0.25), kFloatTolerance);
    }
  });
}

// dlogits are rounded to bf16 before they are multiplied, and dx is rounded once more.
constexpr Tolerance kBf16Tolerance{1e-3, 2 * kBf16Rounding};

TEST_CASE("linear_cross_entropy: in bf16 the loss is not rounded, and gradients come from rounded dlogits") {
  for_each_isa([] {
    Case c(2, 9, 24, 61, 64, DType::bf16);
    const Pages forward(static_cast<std::size_t>(packed_b_count(64, 24)) * sizeof(bf16));
    const Pages backward(static_cast<std::size_t>(packed_b_count(24, 64)) * sizeof(bf16));
    auto *packed = reinterpret_cast<bf16*>(forward.data()),
         *transposed = reinterpret_cast<bf16*>(backward.data());
    pack_weight_rows(packed, transposed, c.wte.data(), 64, 24, 0, 64);
    std::vector<float> dx(c.x.size(), NAN), dwte(c.wte.size(), NAN);
    Tape tape;
    const Tensor x = narrowed(tape, tape.leaf(c.x.data(), dx.data(), {2, 9, 24}, LeafGradient::overwrite));
    const Tensor wte = tape.leaf(c.wte.data(), dwte.data(), {64, 24}, LeafGradient::overwrite);
    const Tensor loss = linear_cross_entropy(tape, x, {wte, packed, transposed}, c.targets_tensor(), 61);
    CHECK(std::abs(static_cast<double>(loss.item()) - c.mean) < 1e-5 * c.mean);
    tape.backward(loss);
    check_close("dx", span(dx), c.dx, kBf16Tolerance);
    check_close("dwte", span(dwte), c.dwte, kBf16Tolerance);
    std::vector<float> losses(18);
    linear_token_losses(losses.data(), x, {wte, packed, nullptr}, c.targets_tensor(), 61);
    check_close("losses", span(losses), c.losses, kFloatTolerance);
  });
}

// A task of the loss takes 2^14 logits, here 128 rows. A task that adds to the gradient of x takes 2^14
// numbers. Float sums of 128 terms of either sign are off by a few 1e-6.
constexpr Tolerance kManyRowsTolerance{1e-5, 5e-5};

TEST_CASE("linear_cross_entropy: one task of rows, two and a tail agree with double, in f32 and in bf16") {
  for (const std::int64_t N : {127, 128, 129, 300}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      INFO(N << " rows in " << name(dtype));
      const std::int64_t C = 130, vocab = 120, Vp = 128;
      Case c(1, N, C, vocab, Vp, dtype);
      for (double& v : c.dx) v += 1;  // the leaf of x holds a gradient already
      std::vector<float> dx(c.x.size(), 1.0f), dwte(c.wte.size(), NAN), losses(static_cast<std::size_t>(N));
      const Pages forward(static_cast<std::size_t>(packed_b_count(Vp, C)) * sizeof(bf16));
      const Pages backward(static_cast<std::size_t>(packed_b_count(C, Vp)) * sizeof(bf16));
      auto *packed = reinterpret_cast<bf16*>(forward.data()),
           *transposed = reinterpret_cast<bf16*>(backward.data());
      pack_weight_rows(packed, transposed, c.wte.data(), Vp, C, 0, Vp);
      Tape tape;
      const Tensor leaf = tape.leaf(c.x.data(), dx.data(), {1, N, C}, LeafGradient::accumulate);
      const Tensor values = tape.leaf(c.wte.data(), dwte.data(), {Vp, C}, LeafGradient::overwrite);
      const bool is_bf16 = dtype == DType::bf16;
      const Tensor x = is_bf16 ? narrowed(tape, leaf) : leaf;
      const Weight wte = is_bf16 ? Weight(values, packed, transposed) : Weight(values);
      const Tensor loss = linear_cross_entropy(tape, x, wte, c.targets_tensor(), vocab);
      CHECK(std::abs(static_cast<double>(loss.item()) - c.mean) < 1e-5 * c.mean);
      tape.backward(loss);
      check_close("dx", span(dx), c.dx, is_bf16 ? kBf16Tolerance : kManyRowsTolerance);
      check_close("dwte", span(dwte), c.dwte, is_bf16 ? kBf16Tolerance : kManyRowsTolerance);
      linear_token_losses(losses.data(), x, wte, c.targets_tensor(), vocab);
      check_close("losses", span(losses), c.losses, kManyRowsTolerance);
    }
  }
}

// 128 MiB hold 124 rows of 270000 logits. Chunks have about equal numbers of rows, rounded up to a multiple
// of 64.
TEST_CASE(
    "linear_cross_entropy: several chunks of rows give the sums in double, the same on 1 to 3 threads") {
  const std::int64_t Vp = 270000, C = 2, N = 150;  // chunks of 64, 64 and 22 rows
  std::vector<float> x = random_floats(N * C, 1), wte = random_floats(Vp * C, 2);
  std::vector<std::int32_t> targets;
  for (std::int64_t i = 0; i < N; ++i)
    targets.push_back(i % 5 == 0 ? -1 : static_cast<std::int32_t>(i * 1370));
  const RestoreThreads restore;
  std::vector<float> first_dwte, first_dx;
  for (int count : {1, 2, 3}) {
    set_threads(count);
    std::vector<float> dx(x.size(), NAN), dwte(wte.size(), NAN), row_losses(N);
    Tape tape;
    const Tensor X = tape.leaf(x.data(), dx.data(), {N, C}, LeafGradient::overwrite);
    const Tensor W = tape.leaf(wte.data(), dwte.data(), {Vp, C}, LeafGradient::overwrite);
    const Tensor loss = linear_cross_entropy(tape, X, W, Tensor(targets.data(), {N}), Vp - 1);
    tape.backward(loss);
    linear_token_losses(row_losses.data(), Tensor(x.data(), {N, C}), Tensor(wte.data(), {Vp, C}),
                        Tensor(targets.data(), {N}), Vp - 1);
    CHECK(loss.item() == static_cast<float>(sum_losses(row_losses.data(), N) / 120));
    if (count == 1) {
      first_dwte = dwte;
      first_dx = dx;
      for (std::int64_t i : {1, 63, 64, 127, 128, 149}) {  // compute the rows next to every cut in double
        double s = 0;
        const auto logit = [&](std::int64_t v) {
          return static_cast<double>(x[static_cast<std::size_t>(2 * i)]) *
                     static_cast<double>(wte[static_cast<std::size_t>(2 * v)]) +
                 static_cast<double>(x[static_cast<std::size_t>(2 * i + 1)]) *
                     static_cast<double>(wte[static_cast<std::size_t>(2 * v + 1)]);
        };
        for (std::int64_t v = 0; v < Vp - 1; ++v) s += std::exp(logit(v));
        const double want = std::log(s) - logit(targets[static_cast<std::size_t>(i)]);
        CHECK(std::abs(static_cast<double>(row_losses[static_cast<std::size_t>(i)]) - want) < 2e-6 * want);
      }
    }
    CHECK(dwte == first_dwte);
    CHECK(dx == first_dx);
  }
}

TEST_CASE(
    "linear_cross_entropy: two micro-batches, each with half the scale, add up to the gradient of the mean") {
  Case c(2, 9, 24, 61, 64);
  std::vector<float> dx(c.x.size()), dwte(c.wte.size(), NAN);
  for (int micro : {0, 1}) {
    Tape tape;
    const Tensor x = tape.leaf(c.x.data(), dx.data(), {2, 9, 24}, LeafGradient::overwrite);
    const Tensor wte = tape.leaf(c.wte.data(), dwte.data(), {64, 24},
                                 micro == 0 ? LeafGradient::overwrite : LeafGradient::accumulate);
    tape.backward(linear_cross_entropy(tape, x, wte, c.targets_tensor(), 61, 2 * c.counted()));
  }
  check_close("dwte", span(dwte), c.dwte, kFloatTolerance);
}

TEST_CASE("linear_cross_entropy: x's gradient is added to the numbers that are already there") {
  Case c(2, 9, 24, 61, 64);
  std::vector<float> dx(c.x.size(), 1.0f);
  Tape tape;
  const Tensor x = tape.leaf(c.x.data(), dx.data(), {2, 9, 24}, LeafGradient::accumulate);
  const Tensor wte = tape.leaf(c.wte.data(), nullptr, {64, 24}, LeafGradient::overwrite);  // no dwte
  tape.backward(linear_cross_entropy(tape, x, wte, c.targets_tensor(), 61));
  std::vector<double> want = c.dx;
  for (double& v : want) v += 1;
  check_close("dx", span(dx), want, kFloatTolerance);
}

TEST_CASE("linear_cross_entropy: without recording, the loss is the same and no gradient is written") {
  Case c(2, 9, 24, 61, 64);
  std::vector<float> dx(c.x.size()), dwte(c.wte.size(), 7.0f);
  Tape recording, off(Recording::off);
  float loss[2];
  for (Tape* tape : {&recording, &off}) {
    const Tensor x = tape->leaf(c.x.data(), dx.data(), {2, 9, 24}, LeafGradient::overwrite);
    const Tensor wte =
        tape->leaf(c.wte.data(), tape == &off ? dwte.data() : nullptr, {64, 24}, LeafGradient::overwrite);
    loss[tape == &off] = linear_cross_entropy(*tape, x, wte, c.targets_tensor(), 61).item();
  }
  CHECK(loss[0] == loss[1]);
  CHECK(off.graph().node_count() == 0);
  CHECK(dwte == std::vector<float>(c.wte.size(), 7.0f));
}

TEST_CASE("linear_cross_entropy: in the losses of rows, a target -1 gives 0, and all targets may be -1") {
  Case c(2, 9, 24, 61, 64);
  std::vector<float> losses(18, NAN);
  linear_token_losses(losses.data(), Tensor(c.x.data(), {18, 24}), Tensor(c.wte.data(), {64, 24}),
                      Tensor(c.targets.data(), {18}), 61);
  check_close("losses", span(losses), c.losses, kFloatTolerance);
  c.targets.assign(18, -1);
  linear_token_losses(losses.data(), Tensor(c.x.data(), {18, 24}), Tensor(c.wte.data(), {64, 24}),
                      Tensor(c.targets.data(), {18}), 61);
  CHECK(losses == std::vector<float>(18, 0.0f));
}

TEST_CASE(
    "linear_cross_entropy: errors name a loss gradient other than 1, a head that is no leaf, and shapes") {
  Case c(2, 9, 24, 61, 64);
  std::vector<float> dx(c.x.size()), dwte(c.wte.size());
  const auto leaves = [&](Tape& tape) {
    return std::pair(tape.leaf(c.x.data(), dx.data(), {2, 9, 24}, LeafGradient::overwrite),
                     tape.leaf(c.wte.data(), dwte.data(), {64, 24}, LeafGradient::overwrite));
  };
  const Tensor targets = c.targets_tensor();
  {
    Tape tape;
    const auto [x, wte] = leaves(tape);
    const Tensor loss = linear_cross_entropy(tape, x, wte, targets, 61);
    CHECK_THROWS_WITH(tape.backward(loss, 0.5f),
                      contains("linear_cross_entropy: the gradient of the loss is 0.5, expected 1"));
  }
  {
    Tape tape;
    const auto [x, wte] = leaves(tape);
    const Tensor loss = linear_cross_entropy(tape, x.detach(), wte, targets, 61);
    CHECK_THROWS_WITH(tape.backward(loss, 2.0f), contains("the gradient of the loss is 2"));
  }
  Tape tape;
  const auto [x, wte] = leaves(tape);
  const Tensor computed = tape.output({64, 24}, {wte});
  std::copy(c.wte.begin(), c.wte.end(), computed.f32());
  CHECK_THROWS_WITH(linear_cross_entropy(tape, x, computed, targets, 61), contains("is not a leaf"));
  CHECK_THROWS_WITH(linear_cross_entropy(tape, x, x, targets, 61),
                    contains("linear_cross_entropy: wte is (2, 9, 24), expected (Vp, C=24)"));
  CHECK_THROWS_WITH(linear_cross_entropy(tape, x, wte, targets.reshape({18}), 61),
                    contains("targets is (18), expected (2, 9), the shape of x (2, 9, 24)"));
  CHECK_THROWS_WITH(linear_cross_entropy(tape, x, wte, targets, 65),
                    contains("vocab is 65, expected 1 to Vp=64"));
  c.targets[17] = 61;
  CHECK_THROWS_WITH(linear_cross_entropy(tape, x, wte, targets, 61),
                    contains("linear_cross_entropy: targets[17] is 61, expected -1 or 0 to 60"));
  c.targets.assign(18, -1);
  CHECK_THROWS_WITH(linear_cross_entropy(tape, x, wte, targets, 61), contains("all 18 targets are -1"));
}

TEST_CASE(
    "linear_cross_entropy: mean_over below the number of targets is an error, and there may be no targets") {
  Case c(2, 9, 24, 61, 64);
  std::vector<float> dx(c.x.size(), NAN), dwte(c.wte.size(), NAN);
  const std::vector<std::int32_t> none(18, -1);
  Tape tape;
  const Tensor x = tape.leaf(c.x.data(), dx.data(), {2, 9, 24}, LeafGradient::overwrite);
  const Tensor wte = tape.leaf(c.wte.data(), dwte.data(), {64, 24}, LeafGradient::overwrite);
  CHECK_THROWS_WITH(linear_cross_entropy(tape, x, wte, c.targets_tensor(), 61, c.counted() - 1),
                    contains("mean_over is 11, expected at least 12, the number of targets"));
  tape.clear();
  c.targets = none;
  const Tensor x_again = tape.leaf(c.x.data(), dx.data(), {2, 9, 24}, LeafGradient::overwrite);
  const Tensor wte_again = tape.leaf(c.wte.data(), dwte.data(), {64, 24}, LeafGradient::overwrite);
  const Tensor loss = linear_cross_entropy(tape, x_again, wte_again, c.targets_tensor(), 61, 5);
  CHECK(loss.item() == 0.0f);
  tape.backward(loss);
  CHECK(dx == std::vector<float>(dx.size(), 0.0f));
  CHECK(dwte == std::vector<float>(dwte.size(), 0.0f));
}

TEST_CASE(
    "linear_cross_entropy: a backward that misses a loss is an error, because dwte is already written") {
  Case c(2, 9, 24, 61, 64);
  std::vector<float> dx(c.x.size()), dwte(c.wte.size());
  Tape tape;
  const Tensor x = tape.leaf(c.x.data(), dx.data(), {2, 9, 24}, LeafGradient::overwrite);
  const Tensor wte = tape.leaf(c.wte.data(), dwte.data(), {64, 24}, LeafGradient::overwrite);
  linear_cross_entropy(tape, x, wte, c.targets_tensor(), 61);
  const Tensor second = linear_cross_entropy(tape, x, wte, c.targets_tensor(), 61);
  CHECK_THROWS_WITH(tape.backward(second), contains("was not reached"));
}

TEST_CASE("linear_token_losses: without rows nothing is written") {
  float nothing = 0;
  std::int32_t no_target = 0;
  std::vector<float> wte = random_floats(8 * 4, 1);
  CHECK_NOTHROW(linear_token_losses(&nothing, Tensor(&nothing, {0, 4}), Tensor(wte.data(), {8, 4}),
                                    Tensor(&no_target, {0}), 8));
  CHECK(nothing == 0.0f);
}

TEST_CASE(
    "linear_cross_entropy: a head packed only for forward, or of 8 bits, is an error if backward needs it") {
  const std::int64_t C = 4, V = 8;
  std::vector<float> x(C), dx(C), w(static_cast<std::size_t>(V * C)), dw(w.size());
  std::vector<bf16> packed(static_cast<std::size_t>(packed_b_count(V, C)));
  std::int32_t id = 0;
  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {1, C}, LeafGradient::overwrite), target(&id, {1});
  const Weight once{Tensor(w.data(), {V, C}), packed.data(), nullptr};
  CHECK_THROWS_WITH(linear_cross_entropy(tape, X, once, target, V),
                    contains("linear_cross_entropy: wte (8, 4) was packed without the copy"));
  std::vector<std::int8_t> q(static_cast<std::size_t>(int8_bytes(V, C)));
  std::vector<float> scales(static_cast<std::size_t>(V), 1.0f);
  const Weight quantised{Tensor(w.data(), {V, C}), Int8Matrix{q.data(), scales.data(), V, C}};
  CHECK_THROWS_WITH(linear_cross_entropy(tape, X, quantised, target, V),
                    contains("linear_cross_entropy: wte (8, 4) has 8 bits, expected f32 or bf16"));
  const Tensor W = tape.leaf(w.data(), dw.data(), {V, C}, LeafGradient::overwrite);
  const Weight learned{W, Int8Matrix{q.data(), scales.data(), V, C}};  // only wte has a gradient
  CHECK_THROWS_WITH(linear_cross_entropy(tape, X.detach(), learned, target, V),
                    contains("has 8 bits, expected f32 or bf16"));
}

TEST_CASE("linear_cross_entropy: an error names an argument with a wrong dtype") {
  std::vector<float> numbers(64);
  std::vector<std::int32_t> whole(64);
  Tape tape;
  const auto f = [&](Shape shape) { return Tensor(numbers.data(), shape); };
  const auto i = [&](Shape shape) { return Tensor(whole.data(), shape); };
  CHECK_THROWS_WITH(linear_cross_entropy(tape, i({2, 4}), f({8, 4}), i({2}), 8),
                    contains("linear_cross_entropy: x (2, 4): dtype is i32, expected f32 or bf16"));
  CHECK_THROWS_WITH(linear_token_losses(numbers.data(), f({2, 4}), f({8, 4}), f({2}), 8),
                    contains("linear_token_losses: targets (2): dtype is f32, expected i32"));
}

}  // namespace
}  // namespace inkling
