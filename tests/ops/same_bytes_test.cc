// All tables with a fused multiply-add give the same bytes in f32, for each op and its gradient, and in bf16
// without AMX; and so do the tables without. ops/README.md ("One result on every CPU") says how the kernels
// achieve this.
//
// Other tests prove that the numbers are right. These tests only compare tables with each other, so the sizes
// are chosen for the order of sums: rows and columns around the widths of registers (4, 8, 16), tails in
// every dimension, and sums that are cut into several blocks.
#include <bit>
#include <limits>

#include "core/error.h"
#include "ops/attention/attention.h"
#include "ops/attention/attention_decode.h"
#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gather.h"
#include "ops/gelu.h"
#include "ops/gemm/gemm.h"
#include "ops/gemm/gemm_bf16.h"
#include "ops/layernorm.h"
#include "ops/linear_cross_entropy.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/update/adamw.h"
#include "ops/update/sgd.h"
#include "ops/update/sum_of_squares.h"
#include "ops/views.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

const std::vector<std::int64_t> kLengths{1,  3,  4,  5,  7,  8,  9,   15,  16, 17,
                                         23, 31, 33, 40, 63, 65, 100, 129, 771};

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}

// Random numbers of different sizes, so that a different order of a sum nearly always changes its last bit.
// Some of them are 0 or -0.
std::vector<float> numbers(std::int64_t n, std::uint64_t seed) {
  std::vector<float> values = random_floats(n, seed);
  for (std::int64_t i = 0; i < n; ++i) {
    if (i % 19 == 7) values[index(i)] = 0.0f;
    if (i % 19 == 13) values[index(i)] = -0.0f;
  }
  return values;
}

using Bytes = std::vector<float>;

void append(Bytes& bytes, std::span<const float> values) {
  bytes.insert(bytes.end(), values.begin(), values.end());
}
void append(Bytes& bytes, const Tensor& t) {
  append(bytes, std::span<const float>(t.f32(), index(t.numel())));
}

// Runs `run` on every table. The results of all tables with a fused multiply-add must have the same bytes,
// and the results of all tables without.
// Tables for which `skipped` is true may differ.
void check_same_bytes(
    const std::string& what, const std::function<Bytes()>& run,
    const std::function<bool(const Kernels&)>& skipped = [](const Kernels&) { return false; }) {
  const RestoreIsa restore;
  Bytes first[2];
  const char* first_name[2] = {};
  for (const Kernels* table : tables()) {
    if (skipped(*table)) continue;
    use_table(*table);
    const bool fused = fuses_multiply_add(table->isa);
    const Bytes bytes = run();
    if (first_name[fused] == nullptr) {
      first[fused] = bytes, first_name[fused] = name(table->isa);
      continue;
    }
    REQUIRE(bytes.size() == first[fused].size());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      if (std::memcmp(&bytes[i], &first[fused][i], sizeof(float)) == 0) continue;
      FAIL_CHECK(what << ": number " << i << " of " << bytes.size() << " is " << str(bytes[i]) << " on "
                      << name(table->isa) << ", but " << str(first[fused][i]) << " on " << first_name[fused]);
      break;
    }
  }
  CHECK(first_name[false] != nullptr);
}

struct Argument {
  Shape shape;
  std::uint64_t seed;
};

// The bytes of an op's output and of the gradients of its arguments. The gradients start as numbers if
// `start` says so, otherwise the op assigns them.
template <class Op>
Bytes forward_and_backward(const std::vector<Argument>& arguments, LeafGradient start, Op op) {
  Tape tape;
  std::vector<std::vector<float>> values, gradients;
  std::vector<Tensor> tensors;
  for (const Argument& a : arguments) {
    const std::int64_t n = Tensor(static_cast<float*>(nullptr), a.shape).numel();
    values.push_back(numbers(n, a.seed));
    gradients.push_back(numbers(n, a.seed + 100));
  }
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    tensors.push_back(tape.leaf(values[i].data(), gradients[i].data(), arguments[i].shape, start));
  }
  Bytes bytes;
  const Tensor y = op(tape, tensors);
  append(bytes, y);
  if (y.rank() == 0) {
    tape.backward(y);
  } else {
    const std::vector<float> dy = numbers(y.numel(), 99);
    tape.backward(dot(tape, y, dy.data()));
  }
  for (const std::vector<float>& gradient : gradients) append(bytes, gradient);
  return bytes;
}

template <class Op>
void check_op(const std::string& what, const std::vector<Argument>& arguments, Op op) {
  for (const LeafGradient start : {LeafGradient::overwrite, LeafGradient::accumulate}) {
    check_same_bytes(what, [&] { return forward_and_backward(arguments, start, op); });
  }
}

using Tensors = const std::vector<Tensor>&;

TEST_CASE("same bytes: element by element, all tables agree") {
  for (const std::int64_t n : {1, 5, 31, 100}) {
    const std::vector<Argument> two{{{3, n}, 1}, {{3, n}, 2}}, one{{{3, n}, 1}};
    check_op("add", two, [](Tape& t, Tensors x) { return add(t, x[0], x[1]); });
    check_op("sub", two, [](Tape& t, Tensors x) { return sub(t, x[0], x[1]); });
    check_op("mul", two, [](Tape& t, Tensors x) { return mul(t, x[0], x[1]); });
    check_op("div", two, [](Tape& t, Tensors x) { return div(t, x[0], add(t, exp(t, x[1]), 0.5f)); });
    check_op("exp", one, [](Tape& t, Tensors x) { return exp(t, x[0]); });
    check_op("log", one, [](Tape& t, Tensors x) { return log(t, add(t, exp(t, x[0]), -0.01f)); });
    check_op("tanh", one, [](Tape& t, Tensors x) { return tanh(t, x[0]); });
    check_op("relu", one, [](Tape& t, Tensors x) { return relu(t, x[0]); });
    check_op("neg", one, [](Tape& t, Tensors x) { return neg(t, x[0]); });
    check_op("scale", one, [](Tape& t, Tensors x) { return scale(t, x[0], 1.7f); });
    check_op("gelu", one, [](Tape& t, Tensors x) { return gelu(t, x[0]); });
    check_op("a repeated operand", {{{3, n}, 1}, {{n}, 2}, {{3, 1}, 3}},
             [](Tape& t, Tensors x) { return mul(t, sub(t, x[0], x[1]), x[2]); });
  }
}

// Numbers of all sizes, from denormals to infinity, with both signs; no NaN.
std::vector<float> all_sizes() {
  std::vector<float> x;
  for (std::uint32_t bits = 0; bits <= 0x7f800000u; bits += 262111) {
    x.push_back(std::bit_cast<float>(bits));
    x.push_back(-x.back());
  }
  x.push_back(std::numeric_limits<float>::infinity());
  return x;
}

TEST_CASE("same bytes: exp, log, tanh and gelu of numbers of all sizes, on all tables") {
  const std::vector<float> x = all_sizes(), ones(x.size(), 1.0f);
  const auto n = static_cast<std::int64_t>(x.size());
  for (const Unary op : {Unary::exp, Unary::log, Unary::tanh}) {
    check_same_bytes("a function", [&] {
      Bytes y(x.size());
      kernels().unary_forward(op, y.data(), x.data(), n, 0);
      for (float& v : y) v = std::isnan(v) ? 0.0f : v;  // two NaNs may differ in their bits
      return y;
    });
  }
  check_same_bytes("gelu", [&] {
    Bytes y(2 * x.size());
    kernels().of_f32.gelu_forward(y.data(), x.data(), n);
    kernels().of_f32.gelu_backward(y.data() + n, ones.data(), x.data(), n, false);
    for (float& v : y) v = std::isnan(v) ? 0.0f : v;
    return y;
  });
}

TEST_CASE("same bytes: layernorm and softmax, all tables agree") {
  for (const std::int64_t C : kLengths) {
    check_op(str("layernorm, C=", C), {{{5, C}, 1}, {{C}, 2}, {{C}, 3}},
             [](Tape& t, Tensors x) { return layernorm(t, x[0], x[1], x[2]); });
    check_op(str("softmax, C=", C), {{{5, C}, 1}}, [](Tape& t, Tensors x) { return softmax(t, x[0]); });
  }
}

TEST_CASE("same bytes: cross-entropy, and the head with its loss, all tables agree") {
  for (const std::int64_t vocab : kLengths) {
    const std::int64_t rows = 21, C = 13;
    std::vector<std::int32_t> targets = random_ids(rows, vocab);
    targets[2] = targets[9] = -1;
    const Tensor t_targets(targets.data(), {rows});
    check_op(str("cross_entropy, V=", vocab), {{{rows, vocab + 3}, 1}},
             [&](Tape& t, Tensors x) { return cross_entropy(t, x[0], t_targets, vocab); });
    check_op(str("linear_cross_entropy, V=", vocab), {{{rows, C}, 1}, {{vocab + 3, C}, 2}},
             [&](Tape& t, Tensors x) { return linear_cross_entropy(t, x[0], x[1], t_targets, vocab); });
  }
}

TEST_CASE("same bytes: a vocabulary of several blocks, all tables agree") {
  const std::int64_t rows = 3, vocab = 5003;
  std::vector<std::int32_t> targets = random_ids(rows, vocab);
  const Tensor t_targets(targets.data(), {rows});
  check_op("cross_entropy", {{{rows, vocab + 5}, 1}},
           [&](Tape& t, Tensors x) { return cross_entropy(t, x[0], t_targets, vocab); });
  check_op("linear_cross_entropy", {{{rows, 7}, 1}, {{vocab + 5, 7}, 2}},
           [&](Tape& t, Tensors x) { return linear_cross_entropy(t, x[0], x[1], t_targets, vocab); });
}

TEST_CASE("same bytes: the linear layer for few and for many rows, all tables agree") {
  for (const std::int64_t M : {1, 3, 6, 16, 17, 50}) {
    for (const auto& [IC, OC] :
         {std::pair<std::int64_t, std::int64_t>{5, 3}, {37, 50}, {100, 9}, {1601, 33}}) {
      check_op(str("linear, M=", M, " IC=", IC, " OC=", OC), {{{M, IC}, 1}, {{OC, IC}, 2}, {{OC}, 3}},
               [](Tape& t, Tensors x) { return linear(t, x[0], x[1], x[2]); });
      check_op(str("linear_add, M=", M), {{{M, IC}, 1}, {{OC, IC}, 2}, {{OC}, 3}, {{M, OC}, 4}},
               [](Tape& t, Tensors x) { return linear_add(t, x[3], x[0], x[1], x[2]); });
    }
  }
}

TEST_CASE("same bytes: products of matrices in both orientations, all tables agree") {
  for (const auto& [M, N, K] :
       {std::array<std::int64_t, 3>{1, 1, 1}, {3, 70, 29}, {53, 11, 100}, {130, 97, 771}, {20, 300, 1700}}) {
    const std::vector<float> a = numbers(M * K, 1), b = numbers(K * N, 2), c = numbers(M * N, 3);
    for (const bool a_transposed : {false, true}) {
      for (const bool b_transposed : {false, true}) {
        check_same_bytes(str("gemm, M=", M, " N=", N, " K=", K), [&, M = M, N = N, K = K] {
          Bytes y = c;
          const MatrixIn<float> A = a_transposed ? rows(a.data(), M).transposed() : rows(a.data(), K);
          const MatrixIn<float> B = b_transposed ? rows(b.data(), K).transposed() : rows(b.data(), N);
          gemm(assign_or_add(y.data(), N, true), A, B, {M, N, K});
          return y;
        });
      }
    }
    check_op("matmul", {{{2, M, K}, 1}, {{2, K, N}, 2}},
             [](Tape& t, Tensors x) { return matmul(t, x[0], x[1]); });
  }
}

// True for the tables that multiply bf16 with AMX, which has its own order of products.
bool has_tiles(const Kernels& table) {
  return table.isa == Isa::amx;
}

// Numbers whose products and sums are near the smallest normal float. Some are denormals.
std::vector<float> tiny_numbers(std::int64_t n, std::uint64_t seed) {
  std::vector<float> values = numbers(n, seed);
  for (float& v : values) v *= 0x1p-63f;
  for (std::int64_t i = 3; i < n; i += 31) values[index(i)] = 0x1p-128f;
  return values;
}

TEST_CASE("same bytes: products of bf16, all tables without AMX agree, also near the smallest numbers") {
  for (const auto& [M, N, K] : {std::array<std::int64_t, 3>{1, 50, 29}, {7, 61, 100}, {53, 70, 771}}) {
    for (const bool tiny : {false, true}) {
      const std::vector<float> a = tiny ? tiny_numbers(M * K, 1) : numbers(M * K, 1);
      const std::vector<float> b = tiny ? tiny_numbers(K * N, 2) : numbers(K * N, 2);
      const std::vector<bf16> a16 = to_bf16(a), b16 = to_bf16(b);
      for (const bool packed_from_f32 : {false, true}) {
        check_same_bytes(
            str("gemm_bf16, M=", M, " N=", N, " K=", K),
            [&, M = M, N = N, K = K] {
              Bytes y(index(M * N));
              const MatrixOut<float> C{y.data(), N};
              if (packed_from_f32) {
                gemm_bf16(C, rows(a.data(), K), rows(b.data(), N), {M, N, K});
              } else {
                gemm_bf16(C, rows(a16.data(), K), rows(b16.data(), N), {M, N, K});
              }
              return y;
            },
            has_tiles);
      }
    }
  }
}

TEST_CASE("same bytes: attention, all tables agree") {
  for (const std::int64_t T : {1, 5, 17, 64, 70, 150}) {
    for (const std::int64_t HS : {3, 8, 20, 33, 64}) {
      std::vector<std::int32_t> positions;
      for (std::int64_t b = 0; b < 2; ++b) {  // two rows; the second has documents of T / 3 + 1 tokens
        for (std::int64_t t = 0; t < T; ++t)
          positions.push_back(static_cast<std::int32_t>(b == 0 ? t : t % (T / 3 + 1)));
      }
      const Tensor t_positions(positions.data(), {2, T});
      check_op(str("attention, T=", T, " HS=", HS), {{{2, T, 6 * HS}, 1}},
               [&](Tape& t, Tensors x) { return attention(t, x[0], 2, t_positions); });
    }
  }
}

TEST_CASE("same bytes: attention with a cache, all tables agree") {
  for (const std::int64_t HS : {3, 8, 20, 33, 64}) {
    check_same_bytes(str("attention_decode, HS=", HS), [HS] {
      constexpr std::int64_t kCapacity = 150, kHeads = 2;
      const std::int64_t C = kHeads * HS;
      std::vector<float> memory(index(kv_cache_floats(kHeads, HS, kCapacity)));
      const KvCacheLayer cache = kv_cache_layer(memory.data(), kHeads, HS, kCapacity);
      const std::vector<float> qkv = numbers(kCapacity * 3 * C, 1);
      Bytes bytes(index(kCapacity * C));
      std::int64_t pos = 0;
      for (const std::int64_t count : {1, 5, 1, 1, 70, 1, 1}) {  // alternates one token and many
        attention_decode(bytes.data() + pos * C, qkv.data() + pos * 3 * C, std::span(&cache, 1), pos, count);
        pos += count;
      }
      return bytes;
    });
  }
}

TEST_CASE("same bytes: sums, means and maxima along each axis, all tables agree") {
  for (const std::int64_t n : kLengths) {
    for (const int axis : {0, 1, 2}) {
      const std::vector<Argument> x{{{3, n, 37}, 1}}, long_rows{{{2, 3, n}, 1}};
      check_op(str("sum, n=", n), x, [=](Tape& t, Tensors v) { return sum(t, v[0], axis); });
      check_op(str("sum, n=", n), long_rows, [=](Tape& t, Tensors v) { return sum(t, v[0], axis); });
      check_op(str("mean, n=", n), long_rows, [=](Tape& t, Tensors v) { return mean(t, v[0], axis); });
      check_op(str("max, n=", n), x, [=](Tape& t, Tensors v) { return max(t, v[0], axis); });
    }
  }
  check_op("sum of all", {{{40000}, 1}}, [](Tape& t, Tensors v) { return sum(t, v[0]); });
}

TEST_CASE("same bytes: embeddings, gather, pick and transposed views, all tables agree") {
  for (const std::int64_t C : {1, 5, 8, 16, 33}) {
    std::vector<std::int32_t> ids = random_ids(2 * 7, 11);
    const Tensor t_ids(ids.data(), {2, 7}), flat(ids.data(), {14});
    check_op("embedding", {{{11, C}, 1}, {{9, C}, 2}},
             [&](Tape& t, Tensors x) { return embedding(t, x[0], x[1], t_ids, 11); });
    check_op("gather", {{{11, C}, 1}}, [&](Tape& t, Tensors x) { return gather(t, x[0], t_ids); });
    check_op("pick", {{{14, 11}, 1}}, [&](Tape& t, Tensors x) { return pick(t, x[0], flat); });
    check_op("transpose", {{{19, C}, 1}},
             [&](Tape& t, Tensors x) { return contiguous(t, x[0].transpose(0, 1)); });
  }
}

TEST_CASE("same bytes: the optimisers and the norm of the gradients, all tables agree") {
  for (const std::int64_t n : {1, 5, 31, 63, 64, 65, 100, 4095, 4097, 40003}) {
    const std::vector<float> g = numbers(n, 1), p = numbers(n, 2), m = numbers(n, 3);
    std::vector<float> v = numbers(n, 4);
    for (float& x : v) x = std::abs(x);
    check_same_bytes(str("adamw, n=", n), [&] {
      Bytes a = p, b = m, c = v;
      const AdamWStep step{.beta1 = 0.9,
                           .beta2 = 0.95,
                           .eps = 1e-8,
                           .weight_decay = 0.1,
                           .lr = 1e-3,
                           .gradient_scale = 0.7,
                           .t = 3};
      kernels().adamw_update(a.data(), b.data(), c.data(), g.data(), n, adamw_factors(step));
      append(a, b), append(a, c);
      return a;
    });
    check_same_bytes(str("sgd, n=", n), [&] {
      Bytes a = p, b = m;
      kernels().sgd_update(a.data(), b.data(), g.data(), n, {0.01f, 0.9f, 0.1f, 0.7f});
      append(a, b);
      return a;
    });
    check_same_bytes(str("sum_of_squares, n=", n), [&] {
      const double sum = sum_of_squares(g.data(), n);
      Bytes two(2);
      std::memcpy(two.data(), &sum, sizeof(sum));
      return two;
    });
  }
}

}  // namespace
}  // namespace inkling
