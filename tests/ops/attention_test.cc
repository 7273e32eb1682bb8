// Attention: formula -> reference -> SIMD -> op. Causality is tested bit by bit.
#include "ops/attention/attention.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "core/parallel.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The tolerances of the op's results for each type of numbers. The results are compared with the reference in
// double on the same inputs.
template <class Real>
struct Tolerances;
template <>
struct Tolerances<float> {
  // Sums of up to 130 terms of size 1, through an exp.
  static constexpr Tolerance kOut{1e-5, 2e-5};
  static constexpr Tolerance kGradient{5e-5, 5e-5};
};
// Rounding to bf16 changes a number by up to 2^-8 of it, 0.004. The output is rounded. On kernels with tiles
// every probability is rounded, too, and then multiplied by values up to 4. A gradient is rounded more often:
// O (from which D is computed), P and dS are rounded before they are multiplied by numbers up to 4, and their
// errors add up with either sign. Then the gradient itself is rounded.
template <>
struct Tolerances<bf16> {
  static constexpr Tolerance kOut{8e-3, 4e-3};
  static constexpr Tolerance kGradient{3e-2, 8e-3};
};
// Maxima and sums are floats for both types of inputs.
constexpr Tolerance kFloatTolerance = Tolerances<float>::kOut;
// For a score of 1e4, the last place of a float is about 1e-3. So every probability has a relative error of
// about 1e-3.
constexpr Tolerance kLargeScoreTolerance{1e-2, 1e-2};

std::vector<float> floats(std::span<const float> x) {
  return {x.begin(), x.end()};
}
std::vector<float> floats(std::span<const bf16> x) {
  return widened(x);
}
using test::floats;  // the same for doubles

template <class Real>
std::vector<Real> as(const std::vector<double>& x) {
  if constexpr (std::is_same_v<Real, bf16>) {
    return to_bf16(floats(x));
  } else {
    return floats(x);
  }
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

// A case whose inputs Real can hold exactly.
template <class Real>
Case case_of(std::int64_t B, std::int64_t T, std::int64_t NH, std::int64_t HS) {
  Case c(B, T, NH, HS);
  c.qkv = as_doubles(floats(as<Real>(c.qkv)));
  c.dout = as_doubles(floats(as<Real>(c.dout)));
  c.compute();
  return c;
}

// The results of the op on inputs of type Real, converted to float: its output, and the gradient of sum(out *
// dout).
struct Result {
  std::vector<float> out, dqkv;
};

template <class Real>
Result run(const Case& c, std::vector<float> qkv) {
  std::vector<float> dout = floats(c.dout);
  Result result{std::vector<float>(dout.size()), std::vector<float>(qkv.size())};
  Tape tape;
  const Tensor leaf = tape.leaf(qkv.data(), result.dqkv.data(), {c.B, c.T, 3 * c.C}, LeafGradient::overwrite);
  const Tensor y = attention(tape, std::is_same_v<Real, bf16> ? narrowed(tape, leaf) : leaf, c.NH);
  result.out = floats(std::span<const Real>(y.data<Real>(), dout.size()));
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

TEMPLATE_TEST_CASE(
    "attention: every instruction set agrees with the reference at odd lengths, heads and head sizes", "",
    float, bf16) {
  using Real = TestType;
  for_each_isa([] {
    const std::int64_t shapes[][3] = {
        {1, 1, 1},    {2, 3, 7},    {31, 1, 5},   {32, 2, 16},  {33, 3, 20},  {47, 1, 48}, {64, 2, 64},
        {65, 1, 80},  {97, 1, 100}, {130, 1, 33}, {70, 3, 8},   {63, 1, 3},   {127, 1, 9}, {128, 2, 9},
        {129, 1, 15}, {255, 1, 4},  {256, 1, 17}, {257, 1, 20}, {330, 1, 64},  // more than one tile on AMX
        {577, 1, 31},                                                          // two tiles on AMX, and a tail
        {40, 1, 300}};  // products more than 8 tiles deep
    for (const auto& [T, NH, HS] : shapes) {
      INFO("T = " << T << ", NH = " << NH << ", HS = " << HS);
      const Case c = case_of<Real>(1, T, NH, HS);
      const std::int64_t C = c.C, shift = T % 7;
      const Real nan = as<Real>({NAN})[0], one = as<Real>({1.0})[0];
      GuardedOf<Real> qkv(as<Real>(c.qkv), shift), dout(as<Real>(c.dout), shift), out(T * C, shift, nan),
          assigned(T * 3 * C, shift, nan), accumulated(T * 3 * C, shift, one);
      Guarded max(NH * T, shift), inverse_sum(NH * T, shift),
          scratch(attention_scratch_floats(T, HS), 0, NAN);
      for (std::int64_t h = 0; h < NH; ++h) {
        const Real* q = qkv.data() + h * HS;
        float *m = max.data() + h * T, *r = inverse_sum.data() + h * T;
        Real* o = out.data() + h * HS;
        const KernelsOf<Real>& kernel = kernels().of<Real>();
        kernel.attention_forward({o, C, m, r, q, q + C, q + 2 * C, 3 * C, T, HS}, scratch.data());
        for (auto* into : {&assigned, &accumulated}) {
          Real* dq = into->data() + h * HS;
          kernel.attention_backward({dq, dq + C, dq + 2 * C, dout.data() + h * HS, o, C, q, q + C, q + 2 * C,
                                     3 * C, m, r, T, HS, into == &accumulated},
                                    scratch.data());
        }
      }
      check_close("out", floats(out.values()), c.out, Tolerances<Real>::kOut);
      check_close("max", max.values(), c.max, kFloatTolerance);
      check_close("inverse_sum", inverse_sum.values(), c.inverse_sum, kFloatTolerance);
      check_close("dqkv", floats(assigned.values()), c.dqkv, Tolerances<Real>::kGradient);
      std::vector<double> plus_one = c.dqkv;
      for (double& v : plus_one) v += 1;
      check_close("dqkv accumulated", floats(accumulated.values()), plus_one, Tolerances<Real>::kGradient);
      for (const auto* g : {&qkv, &dout, &out, &assigned, &accumulated}) g->check();
      for (const auto* g : {&max, &inverse_sum, &scratch}) g->check();
    }
  });
}

TEMPLATE_TEST_CASE("attention: the op's output and gradient agree with the reference", "", float, bf16) {
  const Case c = case_of<TestType>(3, 40, 4, 12);
  const Result result = run<TestType>(c, floats(c.qkv));
  check_close("out", result.out, c.out, Tolerances<TestType>::kOut);
  check_close("dqkv", result.dqkv, c.dqkv, Tolerances<TestType>::kGradient);

  Tape tape(Recording::off);
  std::vector<TestType> x = as<TestType>(c.qkv);
  const Tensor silent = attention(tape, Tensor(x.data(), {3, 40, 144}), 4);
  const std::span<const TestType> out(silent.data<TestType>(), result.out.size());
  CHECK(same_bits(floats(out), result.out));
}

TEST_CASE("attention: errors name wrong shapes and types") {
  Tape tape(Recording::off);
  std::vector<float> x(3 * 40 * 144);
  CHECK_THROWS_WITH(attention(tape, Tensor(x.data(), {3, 40, 144}), 5),
                    contains("attention: heads is 5, expected a divisor of C=48"));
  CHECK_THROWS_WITH(attention(tape, Tensor(x.data(), {120, 144}), 4),
                    contains("attention: qkv is (120, 144), expected (B, T, 3C)"));
  CHECK_THROWS_WITH(attention(tape, Tensor(x.data(), {3, 40, 144}, DType::i32), 4),
                    contains("attention: qkv is i32, expected f32 or bf16"));
}

TEMPLATE_TEST_CASE("attention: later tokens, even NaN, change no bit of a token's output", "", float, bf16) {
  for_each_isa([] {
    const Case c = case_of<TestType>(1, 101, 2, 20);
    const std::vector<float> before = floats(c.qkv);
    const Result whole = run<TestType>(c, before);
    for (std::int64_t t : {0, 1, 14, 31, 32, 63, 64, 70, 99}) {
      INFO("t = " << t);
      const auto kept = static_cast<std::size_t>((t + 1) * c.C);
      for (const float garbage : {1e30f, std::numeric_limits<float>::quiet_NaN()}) {
        std::vector<float> after = before;
        std::fill(after.begin() + (t + 1) * 3 * c.C, after.end(), garbage);
        const Result changed = run<TestType>(c, after);
        CHECK(same_bits(std::span(changed.out).first(kept), std::span(whole.out).first(kept)));
        CHECK_FALSE(same_bits(changed.out, whole.out));
      }
    }
  });
}

TEMPLATE_TEST_CASE(
    "attention: a NaN among finite tokens changes outputs from its own position on, and none before it", "",
    float, bf16) {
  for_each_isa([] {
    const Case c = case_of<TestType>(1, 101, 2, 20);
    const std::vector<float> clean = floats(c.qkv);
    const auto with_nan_at = [&](std::initializer_list<std::int64_t> tokens) {
      std::vector<float> qkv = clean;
      for (std::int64_t t : tokens) {
        const auto token = qkv.begin() + t * 3 * c.C;
        std::fill(token + c.C, token + 3 * c.C, std::numeric_limits<float>::quiet_NaN());
      }
      return run<TestType>(c, qkv);
    };
    // Compares rows 0 .. end - 1 of the output and of dQ. Row t of both depends only on query t and on the
    // keys and values up to t.
    const auto same_up_to = [&](const Result& a, const Result& b, std::int64_t end) {
      bool same = same_bits(std::span(a.out).first(static_cast<std::size_t>(end * c.C)),
                            std::span(b.out).first(static_cast<std::size_t>(end * c.C)));
      for (std::int64_t t = 0; t < end; ++t) {
        const auto at = static_cast<std::size_t>(t * 3 * c.C), n = static_cast<std::size_t>(c.C);
        same = same && same_bits(std::span(a.dqkv).subspan(at, n), std::span(b.dqkv).subspan(at, n));
      }
      return same;
    };
    const Result none = with_nan_at({}), one = with_nan_at({68}), three = with_nan_at({68, 70, 95});
    CHECK(same_up_to(none, one, 68));
    CHECK(same_up_to(one, three, 70));
    for (std::size_t i = 68 * static_cast<std::size_t>(c.C); i < one.out.size(); ++i)
      REQUIRE(std::isnan(one.out[i]));
  });
}

TEMPLATE_TEST_CASE("attention: a shorter sequence gives the same bits as the start of a longer one", "",
                   float, bf16) {
  for_each_isa([] {
    const Case c = case_of<TestType>(1, 101, 2, 20);
    const Result whole = run<TestType>(c, floats(c.qkv));
    for (std::int64_t T : {1, 31, 32, 45, 65}) {
      INFO("T = " << T);
      const Case start = case_of<TestType>(1, T, 2, 20);  // the same seed, so the same first tokens
      const Result part = run<TestType>(start, floats(start.qkv));
      CHECK(same_bits(part.out, std::span(whole.out).first(part.out.size())));
    }
  });
}

TEMPLATE_TEST_CASE("attention: scores of 1e4 do not overflow, forward or backward", "", float, bf16) {
  for_each_isa([] {
    Case c = case_of<TestType>(1, 50, 1, 16);
    for (std::int64_t t = 0; t < c.T; ++t) {
      for (std::int64_t i = 0; i < 2 * c.C; ++i) c.qkv[static_cast<std::size_t>(t * 3 * c.C + i)] *= 64;
    }
    c.compute();
    const auto [least, most] = std::minmax_element(c.max.begin(), c.max.end());
    CHECK(*least < -5e3);  // the first query sees only one key, so its largest score may be negative
    CHECK(*most > 1e4);
    const Result result = run<TestType>(c, floats(c.qkv));
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

TEMPLATE_TEST_CASE("attention: one and four threads give the same bits", "", float, bf16) {
  const RestoreThreads restore;
  const Case c = case_of<TestType>(2, 75, 3, 24);
  set_threads(1);
  const Result one = run<TestType>(c, floats(c.qkv));
  set_threads(4);
  const Result four = run<TestType>(c, floats(c.qkv));
  CHECK(same_bits(one.out, four.out));
  CHECK(same_bits(one.dqkv, four.dqkv));
}

}  // namespace
}  // namespace inkling
