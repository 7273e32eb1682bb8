// The linear layer at sizes at which its products and sums take another code path or are cut: more tokens,
// inputs or outputs than a block of k holds, and more outputs than a task sums. All numbers are whole, so
// results are exact in f32 and in bf16.
#include <algorithm>

#include "core/memory.h"
#include "ops/linear.h"
#include "tests/whole_numbers.h"

namespace inkling {
namespace {

using namespace inkling::test;

struct Size {
  std::int64_t M, IC, OC;
};

bf16* numbers(const Pages& pages) {
  return reinterpret_cast<bf16*>(pages.data());
}

// Checks the result and the gradients of residual + linear(x). Each gradient is added to the numbers that its
// leaf holds.
void check_layer(const Size& s, bool packed) {
  const auto& [M, IC, OC] = s;
  INFO("M = " << M << ", IC = " << IC << ", OC = " << OC << (packed ? ", in bf16" : ", in f32"));
  std::vector<float> x = whole_numbers(M * IC, 1), w = whole_numbers(OC * IC, 2), bias = whole_numbers(OC, 3),
                     residual = whole_numbers(M * OC, 4);
  const std::vector<float> dy = whole_numbers(M * OC, 5), dx_before = whole_numbers(M * IC, 6),
                           dw_before = whole_numbers(OC * IC, 7), dbias_before = whole_numbers(OC, 8),
                           dresidual_before = whole_numbers(M * OC, 9);
  std::vector<float> dx = dx_before, dw = dw_before, dbias = dbias_before, dresidual = dresidual_before;
  const auto bytes = [](std::int64_t N, std::int64_t K) {
    return static_cast<std::size_t>(packed_b_count(N, K)) * sizeof(bf16);
  };
  const Pages forward(bytes(OC, IC)), backward(bytes(IC, OC));
  if (packed) pack_weight_rows(numbers(forward), numbers(backward), w.data(), OC, IC, 0, OC);

  Tape tape;
  const Tensor X = tape.leaf(x.data(), dx.data(), {M, IC}, LeafGradient::accumulate);
  const Tensor W = tape.leaf(w.data(), dw.data(), {OC, IC}, LeafGradient::accumulate);
  const Tensor B = tape.leaf(bias.data(), dbias.data(), {OC}, LeafGradient::accumulate);
  const Tensor R = tape.leaf(residual.data(), dresidual.data(), {M, OC}, LeafGradient::accumulate);
  const Tensor y =
      linear_add(tape, R, X, packed ? Weight(W, numbers(forward), numbers(backward)) : Weight(W), B);
  const Elements in = by_rows(x, IC), weight = by_rows(w, IC), out = by_rows(dy, OC);
  check_exact("y", y.f32(), OC, {in, weight.transposed(), M, OC, IC, bias.data(), residual.data()});

  tape.backward(dot(tape, y, dy.data()));
  check_exact("dx", dx, {out, weight, M, IC, OC, nullptr, dx_before.data()});
  check_exact("dweight", dw, {out.transposed(), in, OC, IC, M, nullptr, dw_before.data()});
  const std::vector<double> column_sums =
      times_vector(out.transposed(), OC, M, std::vector<double>(static_cast<std::size_t>(M), 1.0));
  std::vector<float> want_dbias = dbias_before, want_dresidual = dresidual_before;
  for (std::size_t o = 0; o < dbias.size(); ++o) want_dbias[o] += static_cast<float>(column_sums[o]);
  for (std::size_t i = 0; i < dy.size(); ++i) want_dresidual[i] += dy[i];
  CHECK(dbias == want_dbias);
  CHECK(dresidual == want_dresidual);
}

TEST_CASE(
    "linear: results are exact with more tokens, inputs or outputs than a block of k, in f32 and bf16") {
  for_each_isa([] {
    for (const bool packed : {false, true}) {
      check_layer({770, 24, 64}, packed);   // dW sums 770 tokens
      check_layer({769, 1600, 8}, packed);  // y has many rows and sums 1600 inputs
      for (const std::int64_t OC : {768, 769}) check_layer({100, 24, OC}, packed);  // dx sums the outputs
    }
  });
}

TEST_CASE("linear: in bf16, results are exact with more tokens, inputs or outputs than a pass over k") {
  for_each_isa([] {
    check_layer({4100, 10, 33}, true);
    check_layer({18, 4100, 7}, true);
    check_layer({18, 7, 4100}, true);
  });
}

// A task sums 256 columns of dy, in blocks of 128 rows. Another kind of task adds 2^14 numbers to the
// gradient of the residual.
TEST_CASE(
    "linear: bias and residual gradients are exact around a task's number of columns, rows and elements") {
  for_each_isa([] {
    for (const std::int64_t OC : {255, 256, 257, 600}) check_layer({20, 3, OC}, false);
    for (const std::int64_t M : {127, 128, 129, 257}) check_layer({M, 3, 70}, false);
    for (const std::int64_t M : {255, 256, 257, 513}) check_layer({M, 3, 64}, false);
  });
}

}  // namespace
}  // namespace inkling
