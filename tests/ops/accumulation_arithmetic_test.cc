// Gradients of arithmetic, of sums and of copies add up (tests/ops/accumulation.h).
#include "tests/ops/accumulation.h"

#include "core/error.h"
#include "ops/elementwise.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/views.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("accumulation: the gradients of matmul add up, for many matrices times many or times one") {
  // c (n, M, N) = a (n, M, K) b, where b is one matrix for all products or one matrix for each
  const std::int64_t n = 3, M = 2, K = 4, N = 3;
  const auto in_double = [=](bool shared) {
    return [=](const Values& x) {
      std::vector<double> y(n * M * N);
      for (std::int64_t i = 0; i < n * M * N; ++i) {
        for (std::int64_t k = 0; k < K; ++k) {
          const std::int64_t matrix = shared ? 0 : i / (M * N);
          y[static_cast<std::size_t>(i)] += x[0][static_cast<std::size_t>(i / N * K + k)] *
                                            x[1][static_cast<std::size_t>(matrix * K * N + k * N + i % N)];
        }
      }
      return y;
    };
  };
  const auto on_tape = [](Tape& t, const std::vector<Tensor>& x) { return matmul(t, x[0], x[1]); };
  check_gradients(
      {"matmul of many", {argument({n, M, K}, 1), argument({n, K, N}, 2)}, in_double(false), on_tape});
  check_gradients(
      {"matmul with one matrix", {argument({n, M, K}, 1), argument({K, N}, 2)}, in_double(true), on_tape});
  // a is a view of (n, K, M). Its rows are not contiguous, so its products with b are computed one by one.
  check_gradients(
      {"matmul of transposed views",
       {argument({n, K, M}, 1), argument({K, N}, 2)},
       [=](const Values& x) {
         Values turned = x;
         for (std::int64_t i = 0; i < n * M * K; ++i) {
           const std::int64_t matrix = i / (M * K), m = i / K % M, k = i % K;
           turned[0][static_cast<std::size_t>(i)] =
               x[0][static_cast<std::size_t>(matrix * M * K + k * M + m)];
         }
         return in_double(true)(turned);
       },
       [](Tape& t, const std::vector<Tensor>& x) { return matmul(t, x[0].transpose(1, 2), x[1]); }});
}

TEST_CASE("accumulation: the gradients of add, sub, mul and div add up, with and without broadcasting") {
  using Function = Tensor (*)(Tape&, const Tensor&, const Tensor&);
  const std::pair<Binary, Function> ops[] = {
      {Binary::add, add}, {Binary::sub, sub}, {Binary::mul, mul}, {Binary::div, div}};
  const std::pair<Shape, Shape> shapes[] = {
      {{3, 4}, {3, 4}}, {{3, 4}, {4}},       {{4}, {3, 4}},       {{3, 1}, {1, 4}},
      {{3, 4}, {}},     {{2, 3, 4}, {3, 1}}, {{2, 1, 4}, {3, 1}}, {{2, 1, 2, 1}, {3, 1, 2}}};
  for (const auto& [op, function] : ops) {
    for (const auto& [a, b] : shapes) {
      check_gradients(
          {str("operation ", static_cast<int>(op), " of ", a, " and ", b),
           {argument(a, 1), positive(b, 2)},
           [op = op, a = a, b = b](const Values& x) {
             std::vector<double> y(static_cast<std::size_t>(broadcast("test", a, b).numel()));
             reference::binary_forward(op, y.data(), x[0].data(), x[1].data(), a, b);
             return y;
           },
           [function = function](Tape& t, const std::vector<Tensor>& x) { return function(t, x[0], x[1]); }});
    }
  }
}

TEST_CASE("accumulation: the gradients of functions of one operand add up, for a tensor and for a slice") {
  const std::tuple<Unary, double, std::function<Tensor(Tape&, const Tensor&)>> ops[] = {
      {Unary::exp, 0, [](Tape& t, const Tensor& x) { return exp(t, x); }},
      {Unary::log, 0, [](Tape& t, const Tensor& x) { return log(t, x); }},
      {Unary::tanh, 0, [](Tape& t, const Tensor& x) { return tanh(t, x); }},
      {Unary::relu, 0, [](Tape& t, const Tensor& x) { return relu(t, x); }},
      {Unary::scale, 2.5, [](Tape& t, const Tensor& x) { return scale(t, x, 2.5f); }},
      {Unary::scale, -1, [](Tape& t, const Tensor& x) { return neg(t, x); }},
      {Unary::shift, 0.5, [](Tape& t, const Tensor& x) { return add(t, x, 0.5f); }}};
  for (const auto& [op, s, function] : ops) {
    const auto in_double = [op = op, s = s](const std::vector<double>& x, std::size_t begin,
                                            std::size_t end) {
      std::vector<double> y(end - begin);
      reference::unary_forward(op, y.data(), x.data() + begin, std::ssize(y), s);
      return y;
    };
    const Argument x = op == Unary::log ? positive({4, 5}, 1) : argument({4, 5}, 1);
    check_gradients(
        {str("function ", static_cast<int>(op)),
         {x},
         [&](const Values& v) { return in_double(v[0], 0, 20); },
         [&function = function](Tape& t, const std::vector<Tensor>& v) { return function(t, v[0]); }});
    check_gradients({str("function ", static_cast<int>(op), " of rows 1 and 2"),
                     {x},
                     [&](const Values& v) { return in_double(v[0], 5, 15); },
                     [&function = function](Tape& t, const std::vector<Tensor>& v) {
                       return function(t, v[0].slice(0, 1, 3));
                     }});
  }
}

TEST_CASE(
    "accumulation: the gradients of sum, mean and max along every axis, and of copies of views, add up") {
  const Shape shape{3, 4, 5};
  // A maximum of equal numbers has no derivative, so all numbers are different.
  const Argument cube{shape, random_floats(60, 1)};
  using Function = Tensor (*)(Tape&, const Tensor&, int, bool);
  const std::pair<const char*, Function> ops[] = {{"sum", sum}, {"mean", mean}, {"max", max}};
  for (const auto& [op, function] : ops) {
    for (int axis = 0; axis < 3; ++axis) {
      std::int64_t outer = 1, inner = 1;
      for (int i = 0; i < 3; ++i) (i < axis ? outer : inner) *= i == axis ? 1 : shape[i];
      const std::int64_t n = shape[axis];
      check_gradients({str(op, " along axis ", axis),
                       {cube},
                       [=, op = std::string(op)](const Values& x) {
                         std::vector<double> y(static_cast<std::size_t>(outer * inner));
                         if (op == "max") {
                           reference::max_forward(y.data(), x[0].data(), outer, n, inner);
                         } else {
                           reference::sum_forward(y.data(), x[0].data(), outer, n, inner,
                                                  op == "sum" ? 1.0 : 1.0 / static_cast<double>(n));
                         }
                         return y;
                       },
                       [function = function, axis](Tape& t, const std::vector<Tensor>& x) {
                         return function(t, x[0], axis, false);
                       }});
    }
  }
  check_gradients({"the mean of all",
                   {cube},
                   [](const Values& x) {
                     double total = 0;
                     for (double v : x[0]) total += v / 60;
                     return std::vector<double>{total};
                   },
                   [](Tape& t, const std::vector<Tensor>& x) { return mean(t, x[0]); }});
  // copies of parts of a (3, 4) tensor: its transpose, and its columns 1 and 2
  const auto element = [](const Values& x, std::size_t row, std::size_t column) {
    return x[0][row * 4 + column];
  };
  check_gradients(
      {"a copy of a transposed view",
       {argument({3, 4}, 1)},
       [=](const Values& x) {
         std::vector<double> y;
         for (std::size_t i = 0; i < 12; ++i) y.push_back(element(x, i % 3, i / 3));
         return y;
       },
       [](Tape& t, const std::vector<Tensor>& x) { return contiguous(t, x[0].transpose(0, 1)); }});
  check_gradients({"a copy of two columns",
                   {argument({3, 4}, 1)},
                   [=](const Values& x) {
                     std::vector<double> y;
                     for (std::size_t i = 0; i < 6; ++i) y.push_back(element(x, i / 2, 1 + i % 2));
                     return y;
                   },
                   [](Tape& t, const std::vector<Tensor>& x) { return contiguous(t, x[0].slice(1, 1, 3)); }});
}

}  // namespace
}  // namespace inkling
