// Attention in rows of several documents: each document has the same results as the document alone, bit by
// bit, forward and backward, on every instruction set.
#include <cstring>
#include <type_traits>

#include "ops/attention/attention.h"
#include "ops/embedding.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr std::int64_t kNH = 2, kHS = 20, kC = kNH * kHS;

// The lengths of the documents in each row. Some are longer than a tile, and some have one token.
const std::vector<std::vector<std::int64_t>> kRows = {{1, 70, 3, 1, 330}, {405}, {200, 205}, {1, 1, 1, 402}};
constexpr std::int64_t kT = 405;

std::vector<std::int32_t> positions_of(const std::vector<std::vector<std::int64_t>>& rows) {
  std::vector<std::int32_t> positions;
  for (const auto& row : rows) {
    for (const std::int64_t n : row) {
      for (std::int32_t t = 0; t < n; ++t) positions.push_back(t);
    }
  }
  return positions;
}

struct Result {
  std::vector<float> out, dqkv;
};

// The output for qkv (B, T, 3C), and the gradient of sum(out * dout).
template <class Real>
Result run(std::vector<float> qkv, std::vector<float> dout, std::int64_t B, std::int64_t T,
           std::vector<std::int32_t> positions = {}) {
  Result result{std::vector<float>(dout.size()), std::vector<float>(qkv.size())};
  Tape tape;
  const Tensor leaf = tape.leaf(qkv.data(), result.dqkv.data(), {B, T, 3 * kC}, LeafGradient::overwrite);
  const Tensor y = attention(tape, std::is_same_v<Real, bf16> ? narrowed(tape, leaf) : leaf, kNH,
                             positions.empty() ? Tensor() : Tensor(positions.data(), {B, T}));
  const std::span<const Real> out(y.data<Real>(), dout.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    if constexpr (std::is_same_v<Real, bf16>)
      result.out[i] = to_float(out[i]);
    else
      result.out[i] = out[i];
  }
  tape.backward(dot(tape, y, dout.data()));
  return result;
}

std::vector<float> part(const std::vector<float>& x, std::int64_t first, std::int64_t count,
                        std::int64_t width) {
  return {x.begin() + first * width, x.begin() + (first + count) * width};
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEMPLATE_TEST_CASE(
    "attention: each document of a row has the bits of the document alone, forward and backward", "", float,
    bf16) {
  for_each_isa([] {
    const auto B = std::ssize(kRows);
    const std::vector<float> qkv = random_bf16s(B * kT * 3 * kC, 1), dout = random_bf16s(B * kT * kC, 2);
    const Result packed = run<TestType>(qkv, dout, B, kT, positions_of(kRows));
    std::int64_t first = 0;
    for (const auto& row : kRows) {
      for (const std::int64_t n : row) {
        INFO("document of " << n << " tokens from token " << first << " on");
        const Result alone = run<TestType>(part(qkv, first, n, 3 * kC), part(dout, first, n, kC), 1, n);
        CHECK(same_bits(part(packed.out, first, n, kC), alone.out));
        CHECK(same_bits(part(packed.dqkv, first, n, 3 * kC), alone.dqkv));
        first += n;
      }
    }
  });
}

TEMPLATE_TEST_CASE("attention: a NaN in one document changes no bit of another, forward or backward", "",
                   float, bf16) {
  for_each_isa([] {
    const std::vector<float> qkv = random_bf16s(kT * 3 * kC, 1), dout = random_bf16s(kT * kC, 2);
    const std::vector<std::int32_t> positions = positions_of({{100, 60, 245}});
    const Result clean = run<TestType>(qkv, dout, 1, kT, positions);
    std::vector<float> spoiled = qkv;
    std::fill(spoiled.begin() + 100 * 3 * kC, spoiled.begin() + 160 * 3 * kC, NAN);
    const Result other = run<TestType>(spoiled, dout, 1, kT, positions);
    for (const auto& [first, n] : {std::pair{0, 100}, {160, 245}}) {
      CHECK(same_bits(part(other.out, first, n, kC), part(clean.out, first, n, kC)));
      CHECK(same_bits(part(other.dqkv, first, n, 3 * kC), part(clean.dqkv, first, n, 3 * kC)));
    }
    for (const float x : part(other.out, 100, 60, kC)) REQUIRE(std::isnan(x));
  });
}

TEST_CASE("attention: the profile counts only the work inside documents") {
  std::vector<float> qkv(4 * 3 * kC), out(4 * kC);
  std::vector<std::int32_t> two = {0, 1, 0, 1}, four = {0, 0, 0, 0};
  const auto flops = [&](const Tensor& positions) {
    Profile profile;
    Tape tape(Recording::off);
    tape.profile_into(&profile);
    profile.begin_step(1);
    attention(tape, Tensor(qkv.data(), {1, 4, 3 * kC}), kNH, positions);
    return profile.end_step().events.back().work.flops;
  };
  CHECK(flops({}) == 2.0 * 2 * 10 * kC);  // two products of 10 pairs, each a multiplication and an addition
  CHECK(flops(Tensor(two.data(), {1, 4})) == 2.0 * 2 * 6 * kC);
  CHECK(flops(Tensor(four.data(), {1, 4})) == 2.0 * 2 * 4 * kC);
}

TEST_CASE("attention: wrong positions are errors that name the first one") {
  std::vector<float> qkv(6 * 3 * kC);
  const auto attend = [&](std::vector<std::int32_t> positions, const Shape& shape) {
    Tape tape(Recording::off);
    attention(tape, Tensor(qkv.data(), {2, 3, 3 * kC}), kNH, Tensor(positions.data(), shape));
  };
  CHECK_NOTHROW(attend({0, 1, 0, 0, 0, 1}, {2, 3}));
  CHECK_THROWS_WITH(attend({0, 1, 2, 1, 2, 3}, {2, 3}),
                    contains("positions(1, 0) is 1, expected 0, because the row begins here"));
  CHECK_THROWS_WITH(attend({0, 2, 3, 0, 1, 2}, {2, 3}),
                    contains("positions(0, 1) is 2, expected 0 or 1, one more than the one before"));
  CHECK_THROWS_WITH(attend({0, -1, 0, 0, 1, 2}, {2, 3}), contains("positions(0, 1) is -1"));
  CHECK_THROWS_WITH(attend({0, 1, 2, 0, 1, 2}, {3, 2}),
                    contains("positions is (3, 2), expected a contiguous (B=2, T=3)"));
}

TEST_CASE(
    "embedding: with positions, each token has the row of wpe of its own position, forward and backward") {
  for_each_isa([] {
    for (const std::int64_t C : {1, 5, 33, 100}) {
      const std::int64_t V = 7, maxT = 4;
      std::vector<std::int32_t> ids = {3, 0, 6, 3, 3, 1, 2, 6}, positions = {0, 1, 0, 1, 0, 1, 2, 3};
      std::vector<float> wte = random_floats(V * C, 1), wpe = random_floats(maxT * C, 2),
                         dy = random_floats(8 * C, 3), dwte(wte.size(), NAN), dwpe(wpe.size(), NAN);
      Tape tape;
      const Tensor E = tape.leaf(wte.data(), dwte.data(), {V, C}, LeafGradient::overwrite);
      const Tensor P = tape.leaf(wpe.data(), dwpe.data(), {maxT, C}, LeafGradient::overwrite);
      const Tensor y =
          embedding(tape, E, P, Tensor(ids.data(), {2, 4}), V, 0, Tensor(positions.data(), {2, 4}));
      tape.backward(dot(tape, y, dy.data()));
      std::vector<float> want_y, want_dwte(wte.size()), want_dwpe(wpe.size());
      for (std::size_t n = 0; n < 8; ++n) {
        for (std::size_t c = 0; c < static_cast<std::size_t>(C); ++c) {
          const std::size_t v = static_cast<std::size_t>(ids[n]) * static_cast<std::size_t>(C) + c,
                            p = static_cast<std::size_t>(positions[n]) * static_cast<std::size_t>(C) + c;
          want_y.push_back(wte[v] + wpe[p]);
          want_dwte[v] += dy[n * static_cast<std::size_t>(C) + c];
          want_dwpe[p] += dy[n * static_cast<std::size_t>(C) + c];
        }
      }
      constexpr Tolerance kSums{1e-6, 1e-6};
      check_close("y", std::span<const float>(y.f32(), want_y.size()), std::span<const float>(want_y), kSums);
      check_close("dwte", std::span<const float>(dwte), std::span<const float>(want_dwte), kSums);
      check_close("dwpe", std::span<const float>(dwpe), std::span<const float>(want_dwpe), kSums);
    }
  });
}

TEST_CASE("embedding: positions outside wpe or of another shape are errors") {
  std::vector<float> x(100);
  std::vector<std::int32_t> ids = {0, 1}, positions = {0, 3};
  Tape tape;
  const Tensor wte(x.data(), {8, 4}), wpe(x.data(), {3, 4}), tokens(ids.data(), {1, 2});
  CHECK_THROWS_WITH(embedding(tape, wte, wpe, tokens, 8, 0, Tensor(positions.data(), {1, 2})),
                    contains("embedding: positions(0, 1) is 3, expected 0 .. maxT-1=2"));
  positions[1] = -1;
  CHECK_THROWS_WITH(embedding(tape, wte, wpe, tokens, 8, 0, Tensor(positions.data(), {1, 2})),
                    contains("positions(0, 1) is -1"));
  CHECK_THROWS_WITH(embedding(tape, wte, wpe, tokens, 8, 0, Tensor(positions.data(), {2, 1})),
                    contains("positions is (2, 1), expected a contiguous (1, 2), the shape of ids"));
}

}  // namespace
}  // namespace inkling
