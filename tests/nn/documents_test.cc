// Rows of several documents: losses and gradients of a document do not depend on the other documents in its
// row.
#include <cstring>

#include "nn/gpt2.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The products of a row may be computed in another order than the products of a shorter row.
constexpr Tolerance kLoss{1e-6, 1e-6}, kGradient{1e-6, 1e-5};
// In bf16, the same reason can change the rounding of activations.
constexpr Tolerance kBf16Loss{0.02, 0.02};

constexpr GPT2Config kConfig{.max_seq_len = 48, .vocab_size = 61, .layers = 2, .heads = 2, .channels = 24};
constexpr std::int64_t kB = 2, kT = 40;
// The documents of the two rows. Their lengths add up to kT.
const std::vector<std::vector<std::int64_t>> kRows = {{7, 1, 20, 12}, {33, 7}};

struct Data {
  std::vector<std::int32_t> ids, targets, positions;

  explicit Data(std::uint64_t seed) {
    Rng rng(seed);
    for (const auto& row : kRows) {
      for (const std::int64_t n : row) {
        for (std::int32_t t = 0; t < n; ++t) {
          ids.push_back(static_cast<std::int32_t>(rng.below(61)));
          targets.push_back(rng.below(3) == 0 ? -1 : static_cast<std::int32_t>(rng.below(61)));
          positions.push_back(t);
        }
      }
    }
  }
  Tensor x() { return Tensor(ids.data(), {kB, kT}); }
  Tensor y() { return Tensor(targets.data(), {kB, kT}); }
  Tensor p() { return Tensor(positions.data(), {kB, kT}); }
  std::int64_t counted() const {
    return std::ssize(targets) - std::count(targets.begin(), targets.end(), -1);
  }
};

// Calls f(first token, length) for each document.
template <class F>
void for_each_document(F&& f) {
  std::int64_t first = 0;
  for (const auto& row : kRows) {
    for (const std::int64_t n : row) {
      f(first, n);
      first += n;
    }
  }
}

GPT2 make_model(Precision precision, Recording recording) {
  GPT2 model(kConfig);
  model.initialise(5);
  const std::vector<float> noise = random_floats(model.parameters().count(), 8, 0.1);
  for (std::size_t i = 0; i < noise.size(); ++i) model.parameters().values()[i] += noise[i];
  model.set_precision(precision, recording);
  return model;
}

std::vector<float> losses_of(GPT2& model, const Tensor& ids, const Tensor& targets, const Tensor& positions) {
  Tape tape(Recording::off);
  std::vector<float> losses(static_cast<std::size_t>(ids.numel()));
  model.token_losses(tape, ids, targets, losses.data(), positions);
  return losses;
}

TEST_CASE("documents: the losses of a document in a row equal the losses of the document alone") {
  for_each_isa([] {
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      GPT2 model = make_model(precision, Recording::off);
      Data data(1);
      const std::vector<float> packed = losses_of(model, data.x(), data.y(), data.p());
      for_each_document([&](std::int64_t first, std::int64_t n) {
        INFO("document of " << n << " tokens from " << first << " on");
        const std::vector<float> alone = losses_of(model, Tensor(data.ids.data() + first, {1, n}),
                                                   Tensor(data.targets.data() + first, {1, n}), {});
        check_close("losses",
                    std::span(packed).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(n)),
                    std::span<const float>(alone), precision == Precision::f32 ? kLoss : kBf16Loss);
      });
    }
  });
}

TEST_CASE("documents: changing any token of one document changes no bit of another document's losses") {
  for_each_isa([] {
    for (const Precision precision : {Precision::f32, Precision::bf16}) {
      GPT2 model = make_model(precision, Recording::off);
      Data data(1);
      const std::vector<float> before = losses_of(model, data.x(), data.y(), data.p());
      for_each_document([&](std::int64_t first, std::int64_t n) {
        for (const std::int64_t changed : {first, first + n / 2, first + n - 1}) {
          Data other = data;
          std::int32_t& id = other.ids[static_cast<std::size_t>(changed)];
          id = (id + 30) % 61;
          const std::vector<float> after = losses_of(model, other.x(), other.y(), other.p());
          bool own_changed = false;
          for (std::int64_t i = 0; i < std::ssize(after); ++i) {
            const auto at = static_cast<std::size_t>(i);
            const bool same = std::memcmp(&after[at], &before[at], sizeof(float)) == 0;
            if (i >= first && i < first + n)
              own_changed = own_changed || !same;
            else
              REQUIRE(same);
          }
          // The change reaches the document itself, if a target from the token on counts.
          const auto from = data.targets.begin() + changed, to = data.targets.begin() + first + n;
          if (std::any_of(from, to, [](int target) { return target >= 0; })) CHECK(own_changed);
        }
      });
    }
  });
}

TEST_CASE("documents: the gradient of packed rows is the gradient of the documents in rows of their own") {
  for_each_isa([] {
    for (const bool recompute : {false, true}) {
      GPT2 model = make_model(Precision::f32, Recording::on);
      model.set_recompute(recompute);
      Data data(2);
      const auto gradients = [&] {
        return std::vector<float>(model.parameters().gradients().begin(),
                                  model.parameters().gradients().end());
      };
      Tape tape;
      const Tensor loss =
          model.loss(tape, data.x(), data.y(), LeafGradient::overwrite, data.counted(), data.p());
      const float packed_loss = loss.item();
      tape.backward(loss);
      const std::vector<float> packed = gradients();
      double sum = 0;
      LeafGradient mode = LeafGradient::overwrite;
      for_each_document([&](std::int64_t first, std::int64_t n) {
        tape.clear();
        const Tensor part = model.loss(tape, Tensor(data.ids.data() + first, {1, n}),
                                       Tensor(data.targets.data() + first, {1, n}), mode, data.counted());
        sum += static_cast<double>(part.item());
        tape.backward(part);
        mode = LeafGradient::accumulate;
      });
      CHECK(static_cast<double>(packed_loss) == approx(sum).epsilon(1e-6));
      const std::vector<float> apart = gradients();
      check_close("gradients", std::span<const float>(packed), std::span<const float>(apart), kGradient);
    }
  });
}

TEST_CASE("documents: positions 0 .. T-1 give the bits of a row without positions") {
  GPT2 model = make_model(Precision::f32, Recording::off);
  Data data(3);
  for (std::size_t i = 0; i < data.positions.size(); ++i)
    data.positions[i] = static_cast<std::int32_t>(i % kT);
  CHECK(losses_of(model, data.x(), data.y(), data.p()) == losses_of(model, data.x(), data.y(), {}));
}

}  // namespace
}  // namespace inkling
