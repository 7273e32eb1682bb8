// Ops that read their memory once divide their work into tasks of a fixed number of elements, rows or columns
// (mostly 2^14 elements). The sizes here are one task, a little less, a little more, and two tasks with a
// tail. Other tests prove the kernels at odd sizes. These tests prove how the work is divided.
#include <algorithm>

#include "ops/cross_entropy.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gather.h"
#include "ops/gelu.h"
#include "ops/gemm/gemv_int8.h"
#include "ops/layernorm.h"
#include "ops/reduce.h"
#include "ops/softmax.h"
#include "ops/views.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr std::int64_t kTask = 1 << 14;
const std::vector<std::int64_t> kAroundTasks{kTask - 1, kTask, kTask + 1, 2 * kTask + 77};

// The results have a few roundings of numbers up to about 10, and of sums of a few such numbers.
constexpr Tolerance kTolerance{1e-5, 1e-5};
constexpr Tolerance kExact{0, 0};
// Sums of up to 2^15 numbers of size 1.
constexpr Tolerance kSumTolerance{1e-3, 1e-5};

std::size_t index(std::int64_t i) {
  return static_cast<std::size_t>(i);
}
std::span<const float> values(const Tensor& t) {
  return {t.f32(), index(t.numel())};
}

// A leaf whose gradient starts as ones. Every op must add its gradient to them.
struct Leaf {
  std::vector<float> values, gradient;

  Leaf(std::int64_t n, std::uint64_t seed) : values(random_floats(n, seed)), gradient(values.size(), 1.0f) {}
  Tensor on(Tape& tape, const Shape& shape) {
    return tape.leaf(values.data(), gradient.data(), shape, LeafGradient::accumulate);
  }
  // The gradient that the op has added.
  std::vector<double> added() const {
    std::vector<double> g = as_doubles(gradient);
    for (double& v : g) v -= 1;
    return g;
  }
};
void check_added(const std::string& what, const Leaf& leaf, const std::vector<double>& want,
                 Tolerance tolerance) {
  check_close<double, double>(what, leaf.added(), want, tolerance);
}

TEST_CASE("grains: gelu, add, mul and scale are right for one task of elements, two and a tail") {
  for (const std::int64_t n : kAroundTasks) {
    INFO("n = " << n);
    Leaf a(n, 1), b(n, 2);
    const std::vector<float> dy = random_floats(n, 3);
    const std::vector<double> x = as_doubles(a.values), other = as_doubles(b.values), d = as_doubles(dy);
    {
      std::vector<double> want(index(n)), dx(index(n));
      reference::gelu_forward(want.data(), x.data(), n);
      reference::gelu_backward(dx.data(), d.data(), x.data(), n);
      Tape tape;
      Leaf leaf(n, 1);
      const Tensor y = gelu(tape, leaf.on(tape, {n}));
      check_close("gelu", values(y), want, kTolerance);
      tape.backward(dot(tape, y, dy.data()));
      check_added("gelu's dx", leaf, dx, kTolerance);
      const Tensor half = gelu(tape, narrowed(tape, Tensor(leaf.values.data(), {n})));
      for (std::int64_t i : {std::int64_t{0}, kTask - 2, n - 1}) {
        const double rounded_x = static_cast<double>(to_float(inkling::to_bf16(leaf.values[index(i)])));
        double y_i = 0;
        reference::gelu_forward(&y_i, &rounded_x, 1);
        CHECK(std::abs(static_cast<double>(to_float(half.data<bf16>()[i])) - y_i) <=
              kBf16Rounding * std::abs(y_i) + 1e-6);
      }
    }
    Tape tape;
    const Tensor A = a.on(tape, {n}), B = b.on(tape, {n});
    const Tensor y = add(tape, mul(tape, A, B), scale(tape, A, 3.0f));
    std::vector<double> want(index(n)), da(index(n)), db(index(n));
    for (std::size_t i = 0; i < want.size(); ++i) {
      want[i] = x[i] * other[i] + 3 * x[i];
      da[i] = d[i] * (other[i] + 3);
      db[i] = d[i] * x[i];
    }
    check_close("ab + 3a", values(y), want, kTolerance);
    tape.backward(dot(tape, y, dy.data()));
    check_added("da", a, da, kTolerance);
    check_added("db", b, db, kTolerance);
  }
}

TEST_CASE("grains: add and mul with a broadcast operand are right if tasks end in the middle of a row") {
  for (const auto& [rows, C] :
       {std::pair<std::int64_t, std::int64_t>{40, 1000}, {3, kTask + 5}, {kTask + 3, 2}}) {
    INFO(rows << " rows of " << C);
    Leaf a(rows * C, 1), b(C, 2);
    const std::vector<float> dy = random_floats(rows * C, 3);
    Tape tape;
    const Tensor A = a.on(tape, {rows, C}), B = b.on(tape, {C});
    const Tensor y = add(tape, mul(tape, A, B), B);
    std::vector<double> want(dy.size()), da(dy.size()), db(index(C));
    for (std::size_t i = 0; i < want.size(); ++i) {
      const std::size_t c = i % index(C);
      const auto a_i = static_cast<double>(a.values[i]), b_c = static_cast<double>(b.values[c]),
                 d_i = static_cast<double>(dy[i]);
      want[i] = a_i * b_c + b_c;
      da[i] = d_i * b_c;
      db[c] += d_i * (a_i + 1);
    }
    check_close("ab + b", values(y), want, kTolerance);
    tape.backward(dot(tape, y, dy.data()));
    check_added("da", a, da, kTolerance);
    check_added("db", b, db, kSumTolerance);
  }
}

// A task takes 64 columns or 2^14 elements. In a column, each block of 128 rows has its own partial sum.
TEST_CASE("grains: sums and maxima of rows and of columns are right around a task, a piece and a block") {
  const std::int64_t shapes[][3] = {{1, kTask - 1, 1},      {1, kTask, 1},    {1, kTask + 1, 1},
                                    {3, 2 * kTask + 77, 1}, {5000, 7, 1},     {1, 127, 65},
                                    {2, 128, 63},           {2, 129, 64},     {1, 257, 130},
                                    {3, 300, 200},          {kTask + 9, 3, 2}};
  for (const auto& [outer, n, inner] : shapes) {
    INFO(outer << " x " << n << " x " << inner);
    const std::int64_t count = outer * n * inner, left = outer * inner;
    const std::vector<float> dy = random_floats(left, 3);
    for (const bool is_max : {false, true}) {
      Leaf leaf(count, 1);
      const std::vector<double> x = as_doubles(leaf.values), d = as_doubles(dy);
      std::vector<double> want(index(left)), dx(index(count));
      if (is_max) {
        reference::max_forward(want.data(), x.data(), outer, n, inner);
        reference::max_backward(dx.data(), d.data(), x.data(), want.data(), outer, n, inner);
      } else {
        reference::sum_forward(want.data(), x.data(), outer, n, inner, 1.0);
        reference::sum_backward(dx.data(), d.data(), outer, n, inner, 1.0);
      }
      Tape tape;
      const Tensor X = leaf.on(tape, {outer, n, inner});
      const Tensor y = is_max ? max(tape, X, 1) : sum(tape, X, 1);
      check_close(is_max ? "max" : "sum", values(y), want, kSumTolerance);
      tape.backward(dot(tape, y, dy.data()));
      check_added("dx", leaf, dx, kTolerance);
    }
  }
}

TEST_CASE("grains: softmax and cross entropy are right for one task of rows, two and a tail, and long rows") {
  const std::int64_t shapes[][2] = {{127, 128}, {128, 128},     {129, 128},
                                    {300, 128}, {3, kTask + 5}, {3, kTask}};
  for (const auto& [rows, C] : shapes) {
    INFO(rows << " rows of " << C);
    const std::vector<float> dy = random_floats(rows * C, 3);
    Leaf leaf(rows * C, 1), logits(rows * C, 1);
    const std::vector<double> x = as_doubles(leaf.values), d = as_doubles(dy);
    std::vector<double> want(x.size()), dx(x.size());
    reference::softmax_forward(want.data(), x.data(), rows, C);
    reference::softmax_backward(dx.data(), d.data(), want.data(), rows, C);
    Tape tape;
    const Tensor y = softmax(tape, leaf.on(tape, {rows, C}));
    check_close("softmax", values(y), want, {1e-8, 1e-5});
    tape.backward(dot(tape, y, dy.data()));
    check_added("softmax's dx", leaf, dx, {2e-7, 1e-5});  // the gradient was added to 1, which rounds it

    std::vector<std::int32_t> targets = random_ids(rows, C - 1);
    targets[1] = -1;
    std::vector<double> losses(index(rows)), dlogits(x.size());
    const double counted = static_cast<double>(rows - 1);
    reference::cross_entropy_forward(losses.data(), x.data(), targets.data(), rows, C - 1, C);
    reference::cross_entropy_backward(dlogits.data(), x.data(), targets.data(), 1 / counted, rows, C - 1, C);
    double mean = 0;
    for (double l : losses) mean += l / counted;
    tape.clear();
    const Tensor loss =
        cross_entropy(tape, logits.on(tape, {rows, C}), Tensor(targets.data(), {rows}), C - 1);
    CHECK(std::abs(static_cast<double>(loss.item()) - mean) < 2e-6 * mean);
    tape.backward(loss);
    check_added("dlogits", logits, dlogits, {2e-7, 1e-5});
  }
}

TEST_CASE(
    "grains: layernorm of 31 to 33 rows, 64, 65 and 100, and of 255 to 257 columns is right, with and "
    "without dx") {
  using Sizes = std::pair<std::int64_t, std::int64_t>;
  for (const auto& [rows, C] : {Sizes{31, 20},
                                {32, 20},
                                {33, 20},
                                {64, 20},
                                {65, 20},
                                {100, 20},
                                {40, 255},
                                {40, 256},
                                {40, 257},
                                {40, 600}}) {
    for (const bool wants_dx : {true, false}) {
      INFO(rows << " rows of " << C << (wants_dx ? "" : ", x without a gradient"));
      Leaf x(rows * C, 1), weight(C, 2), bias(C, 3);
      const std::vector<float> dy = random_floats(rows * C, 4);
      std::vector<double> want(dy.size()), mean(index(rows)), rstd(index(rows)), dx(dy.size()), dw(index(C)),
          db(index(C));
      const std::vector<double> in = as_doubles(x.values), w = as_doubles(weight.values);
      reference::layernorm_forward<double>({want.data(), mean.data(), rstd.data(), in.data(), w.data(),
                                            as_doubles(bias.values).data(), rows, C});
      reference::layernorm_backward<double>({dx.data(), dw.data(), db.data(), as_doubles(dy).data(),
                                             in.data(), w.data(), mean.data(), rstd.data(), rows, C, false});
      Tape tape;
      const Tensor X = wants_dx ? x.on(tape, {rows, C}) : Tensor(x.values.data(), {rows, C});
      const Tensor y = layernorm(tape, X, weight.on(tape, {C}), bias.on(tape, {C}));
      check_close("y", values(y), want, kTolerance);
      tape.backward(dot(tape, y, dy.data()));
      if (wants_dx) check_added("dx", x, dx, kTolerance);
      check_added("dweight", weight, dw, {5e-5, 1e-5});
      check_added("dbias", bias, db, {5e-5, 1e-5});
    }
  }
}

// A task of gather or embedding copies 2^14 numbers. In backward it takes 64 columns of the gradient. A task
// of pick takes 2^12 rows.
TEST_CASE("grains: embedding, gather and pick are right for one task, two and a tail, and 63 to 65 columns") {
  const std::int64_t V = 37;
  for (const auto& [N, C] : {std::pair<std::int64_t, std::int64_t>{255, 64},
                             {256, 64},
                             {257, 64},
                             {260, 63},
                             {260, 65},
                             {70, 1000},
                             {3, kTask + 5}}) {
    INFO(N << " rows of " << C);
    const std::int64_t B = 3;
    std::vector<std::int32_t> ids = random_ids(B * N, V);
    const std::vector<float> dy = random_floats(B * N * C, 3);
    Leaf wte(V * C, 1), wpe(N * C, 2), table(V * C, 1);
    std::vector<double> want(dy.size()), dwte(index(V * C)), dwpe(index(N * C));
    reference::embedding_forward(want.data(), as_doubles(wte.values).data(), as_doubles(wpe.values).data(),
                                 ids.data(), B, N, C);
    reference::embedding_backward(dwte.data(), dwpe.data(), as_doubles(dy).data(), ids.data(), B, N, C);
    Tape tape;
    const Tensor y =
        embedding(tape, wte.on(tape, {V, C}), wpe.on(tape, {N, C}), Tensor(ids.data(), {B, N}), V);
    check_close("embedding", values(y), want, kTolerance);
    tape.backward(dot(tape, y, dy.data()));
    check_added("dwte", wte, dwte, kTolerance);
    check_added("dwpe", wpe, dwpe, kTolerance);

    want.assign(index(N * C), 0), dwte.assign(index(V * C), 0);
    reference::gather_forward(want.data(), as_doubles(table.values).data(), ids.data(), N, C);
    reference::gather_backward(dwte.data(), as_doubles(dy).data(), ids.data(), N, C);
    tape.clear();
    const Tensor gathered = gather(tape, table.on(tape, {V, C}), Tensor(ids.data(), {N}));
    check_close("gather", values(gathered), want, kExact);
    tape.backward(dot(tape, gathered, dy.data()));
    check_added("dtable", table, dwte, kTolerance);
  }
  for (const std::int64_t N : {4095, 4096, 4097, 8300}) {
    INFO("pick of " << N);
    std::vector<std::int32_t> ids = random_ids(N, 5);
    const std::vector<float> dy = random_floats(N, 3);
    Leaf x(N * 5, 1);
    std::vector<double> want(index(N)), dx(index(N * 5));
    reference::pick_forward(want.data(), as_doubles(x.values).data(), ids.data(), N, 5);
    reference::pick_backward(dx.data(), as_doubles(dy).data(), ids.data(), N, 5);
    Tape tape;
    const Tensor y = pick(tape, x.on(tape, {N, 5}), Tensor(ids.data(), {N}));
    check_close("pick", values(y), want, kExact);
    tape.backward(dot(tape, y, dy.data()));
    check_added("dx", x, dx, kTolerance);
  }
}

// A copy of a view is divided into tasks of 2^14 elements, or into blocks of 128 rows and columns if it
// transposes.
TEST_CASE("grains: copies of slices and of transposes are right around a task and around a block") {
  const auto check_copy = [](Leaf& leaf, const Shape& shape, auto view) {
    INFO(shape);
    Tape tape;
    const Tensor x = leaf.on(tape, shape), part = view(x);
    const Tensor y = contiguous(tape, part);
    const std::vector<float> dy = random_floats(y.numel(), 5);
    std::vector<double> dx(leaf.values.size());
    const std::int64_t columns = part.dim(1);
    bool same = true;
    for (std::int64_t i = 0; i < part.dim(0); ++i) {
      for (std::int64_t j = 0; j < columns; ++j) {
        const std::int64_t place = part.f32() - x.f32() + i * part.stride(0) + j * part.stride(1);
        same = same && y.f32()[i * columns + j] == leaf.values[index(place)];
        dx[index(place)] += static_cast<double>(dy[index(i * columns + j)]);
      }
    }
    CHECK(same);
    tape.backward(dot(tape, y, dy.data()));
    check_added("dx", leaf, dx, kTolerance);
  };
  for (const std::int64_t rows : {127, 128, 129, 300}) {  // 128 runs of 128 elements make a task
    Leaf leaf(rows * 130, 1);
    check_copy(leaf, {rows, 130}, [](const Tensor& x) { return x.slice(1, 1, 129); });
  }
  Leaf long_rows(2 * (kTask + 9), 1);
  check_copy(long_rows, {2, kTask + 9}, [](const Tensor& x) { return x.slice(1, 1, kTask + 8); });
  for (const auto& [rows, columns] :
       {std::pair<std::int64_t, std::int64_t>{127, 129}, {128, 128}, {129, 127}, {260, 300}}) {
    Leaf leaf(rows * columns, 1);
    check_copy(leaf, {rows, columns}, [](const Tensor& x) { return x.transpose(0, 1); });
  }
}

// The expected result of gemv_int8: X (M,K) times the quantised weights, plus the bias, plus the old values
// of Y.
struct Int8Product {
  std::int64_t M, N, K;
  std::vector<float> x, w, bias, before, scales;
  std::vector<std::int8_t> q;
  std::vector<double> want;

  Int8Product(std::int64_t M_, std::int64_t N_, std::int64_t K_)
      : M(M_),
        N(N_),
        K(K_),
        x(random_floats(M * K, 1)),
        w(random_floats(N * K, 2, 0.02)),
        bias(random_floats(N, 3)),
        before(random_floats(M * N, 4)),
        scales(index(N)),
        q(index(int8_bytes(N, K))) {
    quantise_int8(q.data(), scales.data(), w.data(), K, 0, N);
    for (std::int64_t i = 0; i < M * N; ++i) {
      const std::int64_t m = i / N, n = i % N;
      double sum = 0;
      for (std::int64_t k = 0; k < K; ++k)
        sum += static_cast<double>(x[index(m * K + k)]) * q[index(int8_place(n, k, K))];
      want.push_back(sum * static_cast<double>(scales[index(n)]) + static_cast<double>(bias[index(n)]) +
                     static_cast<double>(before[index(i)]));
    }
  }
};

// One kind of task prepares 2^15 numbers of X. Another kind multiplies 192 rows of X by 2^17 bytes of W.
TEST_CASE(
    "grains: gemv_int8 of 191 to 193 rows and 385 is right, for one task of W and of X, two and a tail") {
  std::vector<Int8Product> products;
  const std::int64_t sizes[][3] = {{191, 5, 20},   {192, 5, 20},      {193, 70, 20}, {385, 5, 100},
                                   {33, 65, 1000}, {2, 64, 2048},     {2, 65, 2048}, {2, 130, 1024},
                                   {3, 3, 40000},  {1, 3, kInt8MostK}};
  for (const auto& [M, N, K] : sizes) products.emplace_back(M, N, K);
  for_each_isa([&] {
    for (const Int8Product& p : products) {
      INFO("M = " << p.M << ", N = " << p.N << ", K = " << p.K);
      std::vector<float> y = p.before;
      gemv_int8({y.data(), p.N, p.bias.data(), y.data()}, rows(p.x.data(), p.K),
                {p.q.data(), p.scales.data(), p.N, p.K}, p.M);
      // Terms have size 0.02. In f32 each of the K roundings is 6e-8 of a sum of about sqrt(K) / 50. If X is
      // rounded to 16 bits, each term is off by at most 4 / 65000 of its size. The errors have either sign,
      // so they grow with sqrt(K).
      const double root = std::sqrt(static_cast<double>(p.K));
      check_close("y", std::span<const float>(y), p.want,
                  {2e-5 + (rounds_int8_inputs() ? 1e-5 : 2e-6) * root, 2e-5});
    }
  });
}

}  // namespace
}  // namespace inkling
