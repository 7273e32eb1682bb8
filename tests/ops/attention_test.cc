// Attention: formula -> reference -> SIMD -> op, and causality to the last bit.
#include "ops/attention.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "core/parallel.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Sums of up to 130 terms of size 1, through an exp, against double.
constexpr Tolerance kFloatTolerance{1e-5, 2e-5};
// At scores of 1e4 a float's last place is 1e-3, and so is the relative error of every probability.
constexpr Tolerance kLargeScoreTolerance{1e-2, 1e-2};

std::vector<float> floats(const std::vector<double>& x) {
  return {x.begin(), x.end()};
}

struct Case {
  std::int64_t B, T, C, NH;
  std::vector<double> qkv, dout, out, max, inverse_sum, dqkv;

  Case(std::int64_t B_, std::int64_t T_, std::int64_t NH_, std::int64_t HS)
      : B(B_), T(T_), C(NH_ * HS), NH(NH_) {
    qkv = as_doubles(random_floats(B * T * 3 * C, 1));
    dout = as_doubles(random_floats(B * T * C, 2));
    out.resize(dout.size());
    max.resize(static_cast<std::size_t>(B * NH * T));
    inverse_sum.resize(max.size());
    compute();
  }
  void compute() {
    dqkv.assign(qkv.size(), 0.0);
    forward();
    reference::attention_backward(dqkv.data(), dout.data(), qkv.data(), B, T, C, NH);
  }
  double forward() {
    reference::attention_forward(out.data(), max.data(), inverse_sum.data(), qkv.data(), B, T, C, NH);
    return dot(out, dout);
  }
};

// The op on float inputs: its output, and the gradient of sum(out * dout).
struct Result {
  std::vector<float> out, dqkv;
};

Result run(const Case& c, std::vector<float> qkv) {
  std::vector<float> dout = floats(c.dout);
  Result result{std::vector<float>(dout.size()), std::vector<float>(qkv.size())};
  Tape tape;
  const Tensor x = tape.leaf(qkv.data(), result.dqkv.data(), {c.B, c.T, 3 * c.C}, LeafGradient::overwrite);
  const Tensor y = attention(tape, x, c.NH);
  std::copy(y.f32(), y.f32() + y.numel(), result.out.begin());
  tape.backward(dot(tape, y, dout.data()));
  return result;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST_CASE("attention: the backward formula is the derivative of the forward formula") {
  Case c(2, 5, 2, 3);
  gradcheck("qkv", c.qkv, c.dqkv, [&] { return c.forward(); });
  Case one(1, 1, 1, 1);
  gradcheck("qkv of one token", one.qkv, one.dqkv, [&] { return one.forward(); });
}

TEST_CASE("attention: every instruction set agrees with the reference at odd lengths, heads and head sizes") {
  for_each_isa([] {
    const std::int64_t shapes[][3] = {{1, 1, 1},    {2, 3, 7},    {31, 1, 5},  {32, 2, 16},
                                      {33, 3, 20},  {47, 1, 48},  {64, 2, 64}, {65, 1, 80},
                                      {97, 1, 100}, {130, 1, 33}, {70, 3, 8}};
    for (const auto& [T, NH, HS] : shapes) {
      INFO("T = " << T << ", NH = " << NH << ", HS = " << HS);
      const Case c(1, T, NH, HS);
      const std::int64_t C = c.C, shift = T % 7;
      Guarded qkv(floats(c.qkv), shift), dout(floats(c.dout), shift), out(T * C, shift, NAN),
          max(NH * T, shift), inverse_sum(NH * T, shift), assigned(T * 3 * C, shift, NAN),
          accumulated(T * 3 * C, shift, 1.0f);
      Guarded scratch(attention_scratch_floats(T, HS), 0, NAN);
      for (std::int64_t h = 0; h < NH; ++h) {
        const float* q = qkv.data() + h * HS;
        float *m = max.data() + h * T, *r = inverse_sum.data() + h * T, *o = out.data() + h * HS;
        kernels().attention_forward(o, C, m, r, q, q + C, q + 2 * C, 3 * C, T, HS, scratch.data());
        for (Guarded* into : {&assigned, &accumulated}) {
          float* dq = into->data() + h * HS;
          kernels().attention_backward(dq, dq + C, dq + 2 * C, dout.data() + h * HS, o, C, q, q + C,
                                       q + 2 * C, 3 * C, m, r, T, HS, into == &accumulated, scratch.data());
        }
      }
      check_close("out", out.values(), c.out, kFloatTolerance);
      check_close("max", max.values(), c.max, kFloatTolerance);
      check_close("inverse_sum", inverse_sum.values(), c.inverse_sum, kFloatTolerance);
      check_close("dqkv", assigned.values(), c.dqkv, {5e-5, 5e-5});
      std::vector<double> plus_one = c.dqkv;
      for (double& v : plus_one) v += 1;
      check_close("dqkv accumulated", accumulated.values(), plus_one, {5e-5, 5e-5});
      for (const Guarded* g : {&qkv, &dout, &out, &max, &inverse_sum, &assigned, &accumulated, &scratch})
        g->check();
    }
  });
}

TEST_CASE("attention: the op's output and gradient are the reference's, and wrong shapes are named") {
  const Case c(3, 40, 4, 12);
  const Result result = run(c, floats(c.qkv));
  check_close("out", result.out, c.out, kFloatTolerance);
  check_close("dqkv", result.dqkv, c.dqkv, {5e-5, 5e-5});

  Tape tape(Recording::off);
  std::vector<float> x = floats(c.qkv);
  const Tensor silent = attention(tape, Tensor(x.data(), {3, 40, 144}), 4);
  CHECK(same_bits({silent.f32(), result.out.size()}, result.out));
  CHECK_THROWS_WITH(attention(tape, Tensor(x.data(), {3, 40, 144}), 5),
                    contains("attention: heads is 5, expected a divisor of C=48"));
  CHECK_THROWS_WITH(attention(tape, Tensor(x.data(), {120, 144}), 4),
                    contains("attention: qkv is (120, 144), expected (B, T, 3C)"));
}

TEST_CASE("attention: what comes after a token, even NaN, changes no bit of its output") {
  for_each_isa([] {
    const Case c(1, 101, 2, 20);
    const std::vector<float> before = floats(c.qkv);
    const Result whole = run(c, before);
    for (std::int64_t t : {0, 1, 14, 31, 32, 63, 64, 70, 99}) {
      INFO("t = " << t);
      const auto kept = static_cast<std::size_t>((t + 1) * c.C);
      for (const float garbage : {1e30f, std::numeric_limits<float>::quiet_NaN()}) {
        std::vector<float> after = before;
        std::fill(after.begin() + (t + 1) * 3 * c.C, after.end(), garbage);
        const Result changed = run(c, after);
        CHECK(same_bits(std::span(changed.out).first(kept), std::span(whole.out).first(kept)));
        CHECK_FALSE(same_bits(changed.out, whole.out));
      }
    }
  });
}

TEST_CASE("attention: a shorter sequence gives the same bits as the start of a longer one") {
  for_each_isa([] {
    const Case c(1, 101, 2, 20);
    const Result whole = run(c, floats(c.qkv));
    for (std::int64_t T : {1, 31, 32, 45, 65}) {
      INFO("T = " << T);
      const Case start(1, T, 2, 20);  // the same stream of random numbers
      const Result part = run(start, floats(start.qkv));
      CHECK(same_bits(part.out, std::span(whole.out).first(part.out.size())));
    }
  });
}

TEST_CASE("attention: scores of 1e4 overflow nowhere, forward or backward") {
  for_each_isa([] {
    Case c(1, 50, 1, 16);
    for (std::int64_t t = 0; t < c.T; ++t) {
      for (std::int64_t i = 0; i < 2 * c.C; ++i) c.qkv[static_cast<std::size_t>(t * 3 * c.C + i)] *= 64;
    }
    c.compute();
    const auto [least, most] = std::minmax_element(c.max.begin(), c.max.end());
    CHECK(*least < -5e3);  // the first query sees one key, and that may look away from it
    CHECK(*most > 1e4);
    const Result result = run(c, floats(c.qkv));
    check_close("out", result.out, c.out, kLargeScoreTolerance);
    for (std::int64_t t = 0; t < c.T; ++t) {
      INFO("t = " << t);
      const auto dv = static_cast<std::size_t>(t * 3 * c.C + 2 * c.C), n = static_cast<std::size_t>(c.C);
      check_close("dV", std::span<const float>(result.dqkv).subspan(dv, n),
                  std::span<const double>(c.dqkv).subspan(dv, n), kLargeScoreTolerance);
    }
    for (const float v : result.dqkv) REQUIRE(std::isfinite(v));
  });
}

TEST_CASE("attention: four threads compute the bits of one") {
  const int before = threads();
  const Case c(2, 75, 3, 24);
  set_threads(1);
  const Result one = run(c, floats(c.qkv));
  set_threads(4);
  const Result four = run(c, floats(c.qkv));
  set_threads(before);
  CHECK(same_bits(one.out, four.out));
  CHECK(same_bits(one.dqkv, four.dqkv));
}

}  // namespace
}  // namespace inkling
