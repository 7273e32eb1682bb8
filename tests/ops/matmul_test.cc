// Matrix multiplication of tensors: values and gradients, for matrices stored by rows or by columns, for a
// matrix shared by many products, and for slices.
#include "ops/matmul.h"

#include "ops/gemm/gemm.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Sums of at most 20 products of standard normals, in the values and in the gradients.
constexpr Tolerance kFloatTolerance{1e-5, 1e-5};

// The element of `values` at `index` of the view `t`. `values` describes the whole memory that t views, from
// `base` on.
double& element(std::vector<double>& values, const float* base, const Tensor& t,
                const std::int64_t (&index)[4]) {
  std::int64_t place = t.f32() - base;
  for (int axis = 0; axis < t.rank(); ++axis) place += index[axis] * t.stride(axis);
  return values[static_cast<std::size_t>(place)];
}

// Runs matmul on two views, which `view_a` and `view_b` make of two whole tensors. Checks the product, and
// the gradients of the whole tensors, against plain loops.
template <class ViewA, class ViewB>
void check_matmul(Shape a_shape, Shape b_shape, ViewA view_a, ViewB view_b) {
  INFO("a in memory " << a_shape << ", b " << b_shape);
  std::vector<float> a = random_floats(a_shape.numel(), 1), b = random_floats(b_shape.numel(), 2);
  std::vector<float> da(a.size(), NAN), db(b.size(), NAN);
  Tape tape;
  const Tensor A = view_a(tape.leaf(a.data(), da.data(), a_shape, LeafGradient::overwrite));
  const Tensor B = view_b(tape.leaf(b.data(), db.data(), b_shape, LeafGradient::overwrite));
  const Tensor C = matmul(tape, A, B);
  const std::vector<float> dc = random_floats(C.numel(), 3);
  tape.backward(dot(tape, C, dc.data()));

  std::vector<double> a_values = as_doubles(a), b_values = as_doubles(b);
  std::vector<double> want_c(dc.size()), want_da(a.size()), want_db(b.size());
  const int rank = C.rank();
  const std::int64_t K = A.dim(rank - 1), N = C.dim(rank - 1);
  for (std::int64_t place = 0; place < C.numel(); ++place) {
    std::int64_t at_c[4] = {}, rest = place;
    for (int axis = rank - 1; axis >= 0; --axis) at_c[axis] = rest % C.dim(axis), rest /= C.dim(axis);
    const std::int64_t n = place % N;
    for (std::int64_t k = 0; k < K; ++k) {
      std::int64_t at_a[4] = {at_c[0], at_c[1], at_c[2], at_c[3]},
                   at_b[4] = {at_c[0], at_c[1], at_c[2], at_c[3]};
      at_a[rank - 1] = k;
      at_b[B.rank() - 2] = k;
      at_b[B.rank() - 1] = n;
      const auto i = static_cast<std::size_t>(place);
      const double d = static_cast<double>(dc[i]);
      want_c[i] += element(a_values, a.data(), A, at_a) * element(b_values, b.data(), B, at_b);
      element(want_da, a.data(), A, at_a) += d * element(b_values, b.data(), B, at_b);
      element(want_db, b.data(), B, at_b) += d * element(a_values, a.data(), A, at_a);
    }
  }
  check_close("c", std::span<const float>(C.f32(), dc.size()), want_c, kFloatTolerance);
  check_close("da", da, want_da, kFloatTolerance);
  check_close("db", db, want_db, kFloatTolerance);
}

Tensor same(const Tensor& t) {
  return t;
}
Tensor transposed(const Tensor& t) {
  return t.transpose(t.rank() - 2, t.rank() - 1);
}

TEST_CASE("matmul: dA = dC B^T and dB = A^T dC are the derivatives of the product") {
  const std::int64_t M = 2, K = 3, N = 4;
  std::vector<float> a = random_floats(M * K, 1), b = random_floats(K * N, 2), dc = random_floats(M * N, 3);
  std::vector<float> da(a.size()), db(b.size());
  Tape tape;
  const Tensor A = tape.leaf(a.data(), da.data(), {M, K}, LeafGradient::overwrite);
  const Tensor B = tape.leaf(b.data(), db.data(), {K, N}, LeafGradient::overwrite);
  tape.backward(dot(tape, matmul(tape, A, B), dc.data()));

  std::vector<double> a_wide = as_doubles(a), b_wide = as_doubles(b);
  const auto loss = [&] {
    std::vector<double> c(dc.size());
    reference::gemm<double>(c.data(), a_wide.data(), b_wide.data(), M, N, K, nullptr, false);
    return dot(c, as_doubles(dc));
  };
  const auto derivative = [&](std::vector<double>& x) {
    std::vector<double> dx;
    for (double& v : x) {
      const double before = v;
      v = before + kGradcheckStep;
      const double above = loss();
      v = before - kGradcheckStep;
      dx.push_back((above - loss()) / (2 * kGradcheckStep));
      v = before;
    }
    return dx;
  };
  check_close("da", da, derivative(a_wide), kFloatTolerance);
  check_close("db", db, derivative(b_wide), kFloatTolerance);
}

TEST_CASE("matmul: matrices stored by rows and by columns agree with plain loops") {
  for_each_isa([] {
    for (std::int64_t M : {1, 5, 20}) {
      check_matmul({M, 7}, {7, 9}, same, same);
      check_matmul({7, M}, {7, 9}, transposed, same);
      check_matmul({M, 7}, {9, 7}, same, transposed);
      check_matmul({7, M}, {9, 7}, transposed, transposed);
    }
  });
}

TEST_CASE("matmul: many matrices, each with its own or all with one, agree with plain loops") {
  check_matmul({3, 4, 5}, {3, 5, 6}, same, same);
  check_matmul({2, 3, 4, 5}, {2, 3, 6, 5}, same, transposed);
  check_matmul({2, 3, 5, 4}, {2, 3, 5, 6}, transposed, same);
  check_matmul({3, 4, 5}, {5, 6}, same, same);
  check_matmul({2, 3, 5, 4}, {6, 5}, transposed, transposed);
  // (B, T, NH, HS) seen as (B, NH, T, HS), as attention does
  const auto heads = [](const Tensor& t) { return t.transpose(1, 2); };
  check_matmul({2, 4, 3, 5}, {2, 6, 3, 5}, heads, [&](const Tensor& t) { return transposed(heads(t)); });
}

TEST_CASE("matmul: slices, axes of length 1, and views without a stride of 1 agree with plain loops") {
  const auto part = [](const Tensor& t) { return t.slice(1, 2, 5); };
  check_matmul({4, 8}, {3, 6}, part, same);
  check_matmul({4, 3}, {3, 8}, same, part);
  check_matmul({4, 1}, {1, 6}, same, same);
  check_matmul({1, 4}, {4, 1}, same, same);
  check_matmul(
      {4, 8}, {1, 3}, [](const Tensor& t) { return t.slice(1, 3, 4); }, same);
  check_matmul(
      {3, 4, 5}, {6, 3, 5}, [](const Tensor& t) { return t.transpose(0, 2); },
      [](const Tensor& t) { return t.transpose(0, 2); });
  check_matmul(
      {5, 4, 3}, {5, 6}, [](const Tensor& t) { return t.transpose(0, 2); }, same);
}

TEST_CASE("matmul: a tensor may be multiplied by itself, and empty tensors have gradient zero") {
  std::vector<float> a = random_floats(12, 1), da(12, NAN);
  Tape tape;
  const Tensor A = tape.leaf(a.data(), da.data(), {3, 4}, LeafGradient::overwrite);
  const std::vector<float> ones(9, 1.0f);
  tape.backward(dot(tape, matmul(tape, A, A.transpose(0, 1)), ones.data()));
  for (std::int64_t i = 0; i < 12; ++i) {  // d/dA of sum(A A^T): twice the sum of A's column
    const auto c = static_cast<std::size_t>(i % 4);
    const float want = 2 * (a[c] + a[c + 4] + a[c + 8]);
    CHECK(std::abs(da[static_cast<std::size_t>(i)] - want) <= 1e-5f);
  }
  check_matmul({0, 4}, {4, 5}, same, same);
  check_matmul({0, 3, 4}, {4, 5}, transposed, [](const Tensor& t) { return t.slice(0, 0, 3); });
}

TEST_CASE("matmul: errors name wrong shapes") {
  std::vector<float> memory(100);
  Tape tape;
  const auto tensor = [&](Shape shape) { return Tensor(memory.data(), shape); };
  CHECK_THROWS_WITH(
      matmul(tape, tensor({2, 3}), tensor({4, 5})),
      contains("matmul: a is (2, 3) and b is (4, 5), expected equal numbers of columns of a and rows of b"));
  CHECK_THROWS_WITH(matmul(tape, tensor({3}), tensor({3, 5})),
                    contains("expected (..., M, K) and (..., K, N)"));
  CHECK_THROWS_WITH(matmul(tape, tensor({2, 3}), tensor({2, 3, 5})), contains("expected b to be one matrix"));
  CHECK_THROWS_WITH(matmul(tape, tensor({2, 2, 3}), tensor({3, 3, 5})),
                    contains("expected the same leading axes"));
}

TEST_CASE("matmul: for K = 0 the result is zero") {
  float nothing = 0;
  Tape tape;
  const Tensor c = matmul(tape, Tensor(&nothing, {3, 0}), Tensor(&nothing, {0, 2}));
  CHECK(std::vector<float>(c.f32(), c.f32() + 6) == std::vector<float>(6));
}

}  // namespace
}  // namespace inkling
