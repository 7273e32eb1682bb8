// Cross-entropy: formula -> reference -> SIMD -> op.
#include "ops/cross_entropy.h"

#include <algorithm>
#include <limits>

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The last place of a logit of 20 is 2e-6. m - x_t has this error, and each probability has it as a relative
// error. The sums add little to it.
constexpr Tolerance kFloatTolerance{2e-6, 1e-5};

constexpr Tolerance kBf16Tolerance{2e-6, kBf16Rounding + 1e-5};

constexpr float kInf = std::numeric_limits<float>::infinity();

// Logits, targets (some of them -1), and the expected losses and gradients. The padding of the logits is NaN,
// so that a kernel that reads it gives NaN.
struct Case {
  std::int64_t rows, vocab, Vp;
  std::vector<float> logits;
  std::vector<std::int32_t> targets;
  std::vector<double> losses, dlogits;

  Case(std::int64_t rows_, std::int64_t vocab_, std::int64_t Vp_, double scale)
      : rows(rows_), vocab(vocab_), Vp(Vp_) {
    logits = random_floats(rows * Vp, 1, 5.0);
    for (std::int64_t r = 0; r < rows; ++r) {
      for (std::int64_t v = vocab; v < Vp; ++v) logits[static_cast<std::size_t>(r * Vp + v)] = NAN;
      targets.push_back(r % 4 == 2 ? -1 : static_cast<std::int32_t>((r * 7 + vocab - 1) % vocab));
    }
    losses.resize(static_cast<std::size_t>(rows));
    dlogits.resize(logits.size());
    const std::vector<double> x = as_doubles(logits);
    reference::cross_entropy_forward(losses.data(), x.data(), targets.data(), rows, vocab, Vp);
    reference::cross_entropy_backward(dlogits.data(), x.data(), targets.data(), scale, rows, vocab, Vp);
  }
  std::int64_t counted() const {
    return std::count_if(targets.begin(), targets.end(), [](auto t) { return t >= 0; });
  }
};

TEST_CASE("cross_entropy: the backward formula is the derivative of the forward formula") {
  const std::int64_t rows = 4, vocab = 5, Vp = 7;
  std::vector<double> x = random_values(rows * Vp, 1, 2.0), dx(x.size()), losses(4);
  const std::vector<std::int32_t> targets{4, 0, -1, 2};
  reference::cross_entropy_backward(dx.data(), x.data(), targets.data(), 0.3, rows, vocab, Vp);
  gradcheck("logits", x, dx, [&] {
    reference::cross_entropy_forward(losses.data(), x.data(), targets.data(), rows, vocab, Vp);
    return 0.3 * (losses[0] + losses[1] + losses[2] + losses[3]);
  });
}

TEST_CASE("cross_entropy: every instruction set agrees with the reference at every width and alignment") {
  for_each_isa([] {
    for (std::int64_t vocab : {1, 2, 3, 15, 16, 17, 31, 33, 64, 100, 2047, 2048, 2049, 5003, 600007}) {
      const std::int64_t rows = vocab < 10000 ? 5 : 1, shift = vocab % 5, Vp = vocab + vocab % 3,
                         n = rows * Vp;
      INFO("vocab = " << vocab << ", Vp = " << Vp);
      const Case c(rows, vocab, Vp, 0.25);
      Guarded x(c.logits, shift), losses(rows), row_max(rows), row_sum(rows), assigned(n, shift, NAN);
      Guarded accumulated(n, shift, 1.0f), in_place(c.logits, shift), in_place_losses(rows);
      const Kernels& k = kernels();
      const TargetRows targets{c.targets.data(), rows, vocab, Vp};
      k.cross_entropy_forward(losses.data(), row_max.data(), row_sum.data(), x.data(), targets);
      k.cross_entropy_backward(assigned.data(), x.data(), row_max.data(), row_sum.data(), 0.25f, targets,
                               false);
      k.cross_entropy_backward(accumulated.data(), x.data(), row_max.data(), row_sum.data(), 0.25f, targets,
                               true);
      k.of<float>().cross_entropy_in_place(in_place_losses.data(), in_place.data(), 0.25f, targets);
      std::vector<double> plus_one = c.dlogits;
      for (double& v : plus_one) v += 1;
      check_close("losses", losses.values(), c.losses, kFloatTolerance);
      check_close("losses in place", in_place_losses.values(), c.losses, kFloatTolerance);
      check_close("dlogits", assigned.values(), c.dlogits, kFloatTolerance);
      check_close("dlogits accumulated", accumulated.values(), plus_one, kFloatTolerance);
      check_close("dlogits in place", in_place.values(), c.dlogits, kFloatTolerance);
      for (const Guarded* g :
           {&losses, &row_max, &row_sum, &assigned, &accumulated, &in_place, &in_place_losses}) {
        g->check();
      }
    }
  });
}

TEST_CASE("cross_entropy: in place, a bf16 gradient takes the first half of each row's memory") {
  for_each_isa([] {
    for (std::int64_t vocab : {1, 2, 3, 15, 16, 17, 31, 33, 64, 100, 2047, 2048, 2049, 5003, 600007}) {
      const std::int64_t rows = vocab < 10000 ? 5 : 1, Vp = vocab + vocab % 3;
      INFO("vocab = " << vocab << ", Vp = " << Vp);
      const Case c(rows, vocab, Vp, 0.25);
      Guarded x(c.logits, vocab % 5), losses(rows);
      kernels().of<bf16>().cross_entropy_in_place(losses.data(), x.data(), 0.25f,
                                                  {c.targets.data(), rows, vocab, Vp});
      check_close("losses", losses.values(), c.losses, kFloatTolerance);
      for (std::int64_t r = 0; r < rows; ++r) {
        std::vector<bf16> d(static_cast<std::size_t>(Vp));
        std::memcpy(static_cast<void*>(d.data()), x.data() + r * Vp, d.size() * sizeof(bf16));
        const std::span<const double> want(c.dlogits);
        check_close("dlogits", std::span<const bf16>(d),
                    want.subspan(static_cast<std::size_t>(r * Vp), d.size()), kBf16Tolerance);
      }
      x.check();
      losses.check();
    }
  });
}

TEST_CASE("cross_entropy: a block of -inf before, between or after finite blocks adds nothing to the sum") {
  for_each_isa([] {
    const std::int64_t vocab = 6144;  // three blocks of 2048
    for (std::int64_t block = 0; block < 3; ++block) {
      INFO("block " << block);
      std::vector<float> x = random_floats(vocab, 1), losses(1), in_place_losses(1), row_max(1), row_sum(1);
      std::fill_n(x.begin() + block * 2048, 2048, -kInf);
      const std::vector<std::int32_t> targets{static_cast<std::int32_t>((block + 1) % 3 * 2048 + 5)};
      std::vector<double> want(1), want_d(x.size()), logits = as_doubles(x);
      reference::cross_entropy_forward(want.data(), logits.data(), targets.data(), 1, vocab, vocab);
      reference::cross_entropy_backward(want_d.data(), logits.data(), targets.data(), 1.0, 1, vocab, vocab);
      const TargetRows row{targets.data(), 1, vocab, vocab};
      kernels().cross_entropy_forward(losses.data(), row_max.data(), row_sum.data(), x.data(), row);
      kernels().of<float>().cross_entropy_in_place(in_place_losses.data(), x.data(), 1.0f, row);
      check_close("loss", std::span<const float>(losses), std::span<const double>(want), kFloatTolerance);
      check_close("loss in place", std::span<const float>(in_place_losses), std::span<const double>(want),
                  kFloatTolerance);
      check_close("dlogits in place", std::span<const float>(x), std::span<const double>(want_d),
                  kFloatTolerance);
    }
  });
}

TEST_CASE("cross_entropy: blocks of -inf are allowed; rows of only -inf, or with NaN or inf, have loss NaN") {
  for_each_isa([] {
    const std::int64_t vocab = 6000;  // three blocks
    std::vector<float> x(static_cast<std::size_t>(4 * vocab), -kInf), losses(4);
    x[5000] = 2, x[5001] = 2;  // row 0: all other logits are -inf
    for (std::size_t i = 0; i < 6000; ++i) x[12000 + i] = x[18000 + i] = 1;  // row 1 stays -inf
    x[12000 + 3000] = NAN;
    x[18000 + 3000] = kInf;
    const std::vector<std::int32_t> targets{5001, 0, 7, 7};
    kernels().of<float>().cross_entropy_in_place(losses.data(), x.data(), 1.0f,
                                                 {targets.data(), 4, vocab, vocab});
    CHECK(std::abs(losses[0] - std::log(2.0f)) < 1e-6f);
    CHECK(x[5000] == 0.5f);
    CHECK(x[5001] == -0.5f);
    CHECK(x[0] == 0.0f);
    for (std::size_t r = 1; r < 4; ++r) CHECK(std::isnan(losses[r]));
  });
}

TEST_CASE("cross_entropy: a loss near 0 has an error below 1.2e-7") {
  for_each_isa([] {
    std::vector<float> x{100, 90, 80}, losses(1);
    const std::vector<std::int32_t> targets{0};
    kernels().of<float>().cross_entropy_in_place(losses.data(), x.data(), 1.0f, {targets.data(), 1, 3, 3});
    const double want = std::log1p(std::exp(-10.0) + std::exp(-20.0));
    // the sum 1 + 4.5e-5 has a rounding error of up to 6e-8 before the logarithm
    CHECK(std::abs(static_cast<double>(losses[0]) - want) < 1.2e-7);
  });
}

TEST_CASE("cross_entropy: the op gives the mean over the targets that are not -1, and its gradient") {
  const Case c(24, 5003, 5008, 1.0);
  std::vector<float> logits = c.logits, dlogits(logits.size(), NAN);
  std::vector<std::int32_t> targets = c.targets;
  Tape tape;
  const Tensor X = tape.leaf(logits.data(), dlogits.data(), {4, 6, c.Vp}, LeafGradient::overwrite);
  const Tensor loss = cross_entropy(tape, X, Tensor(targets.data(), {4, 6}), c.vocab);
  const auto counted = static_cast<double>(c.counted());
  double mean = 0;
  for (double l : c.losses) mean += l / counted;
  CHECK(std::abs(static_cast<double>(loss.item()) - mean) < 1e-6 * mean);
  tape.backward(loss, 0.5f);
  std::vector<double> want = c.dlogits;
  for (double& v : want) v *= 0.5 / counted;
  check_close("dlogits", std::span<const float>(dlogits), want, {1e-7, 1e-5});
}

TEST_CASE("cross_entropy: a row with target -1 does not change the loss") {
  const std::int64_t V = 50;
  std::vector<float> logits = random_floats(6 * V, 3);
  std::vector<std::int32_t> targets{3, -1, -1, 49, 0, -1}, kept{3, 49, 0};
  std::vector<float> compact;
  for (std::int64_t r : {0, 3, 4})
    compact.insert(compact.end(), logits.begin() + r * V, logits.begin() + (r + 1) * V);
  Tape tape;
  const Tensor a = cross_entropy(tape, Tensor(logits.data(), {6, V}), Tensor(targets.data(), {6}), V);
  const Tensor b = cross_entropy(tape, Tensor(compact.data(), {3, V}), Tensor(kept.data(), {3}), V);
  CHECK(a.item() == b.item());
}

TEST_CASE("cross_entropy: errors name wrong shapes and targets") {
  std::vector<float> logits(60);
  std::vector<std::int32_t> targets{0, 1, 2, 3, 4, 9};
  const Tensor X(logits.data(), {2, 3, 10}), T(targets.data(), {2, 3});
  Tape tape;
  CHECK_THROWS_WITH(cross_entropy(tape, X, T, 9),
                    contains("cross_entropy: targets[5] is 9, expected -1 or 0 to 8"));
  targets[1] = -2;
  CHECK_THROWS_WITH(cross_entropy(tape, X, T, 10), contains("targets[1] is -2, expected -1 or 0 to 9"));
  targets.assign(6, -1);
  CHECK_THROWS_WITH(cross_entropy(tape, X, T, 10), contains("cross_entropy: all 6 targets are -1"));
  CHECK_THROWS_WITH(cross_entropy(tape, X, T, 11), contains("vocab is 11, expected 1 to Vp=10"));
  CHECK_THROWS_WITH(cross_entropy(tape, X, Tensor(targets.data(), {6}), 10),
                    contains("targets is (6), expected (2, 3), the shape of logits (2, 3, 10)"));
}

TEST_CASE("cross_entropy: an error names an argument with a wrong dtype") {
  Zeros zeros;
  Tape tape;
  CHECK_THROWS_WITH(cross_entropy(tape, zeros.bf16({2, 4}), zeros.i32({2}), 4),
                    contains("cross_entropy: logits (2, 4): dtype is bf16, expected f32"));
}

}  // namespace
}  // namespace inkling
