// pack(offset, count) packs again exactly the weights in the range that is reported as changed, and no other
// weights.
#include "nn/packed_weights.h"

#include <cstring>

#include "core/error.h"
#include "nn/gpt2_config.h"
#include "ops/gemm/gemm_bf16.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Some matrices have one strip of kWeightRows rows, others have several. For some, the number of rows is not
// a multiple of kWeightRows.
const GPT2Config kConfig{.max_seq_len = 3, .vocab_size = 7, .layers = 2, .heads = 1, .channels = 24};
const std::vector<std::size_t> kMatrices = {kWte, kQkvw, kAttprojw, kFcw, kFcprojw};

// One matrix: its offset in the flat buffer and its size.
struct Place {
  std::size_t tensor;
  std::int64_t layer, offset, OC, IC;
};

std::vector<Place> places() {
  const std::int64_t C = 24, V = 128, L = 2;
  std::vector<Place> all = {{kWte, 0, 0, V, C}};
  std::int64_t at = V * C + 3 * C + 2 * L * C;  // after wte, wpe, ln1w and ln1b
  const auto stack = [&](std::size_t tensor, std::int64_t OC, std::int64_t IC, std::int64_t then) {
    for (std::int64_t l = 0; l < L; ++l) all.push_back({tensor, l, at + l * OC * IC, OC, IC});
    at += L * (OC * IC + then);
  };
  stack(kQkvw, 3 * C, C, 3 * C);
  stack(kAttprojw, C, C, C + 2 * C);
  stack(kFcw, 4 * C, C, 4 * C);
  stack(kFcprojw, C, 4 * C, C);
  return all;
}

struct Random {
  Parameters parameters{gpt2_parameters(kConfig)};
  explicit Random(std::uint64_t seed) {
    const std::vector<float> values = random_floats(parameters.count(), seed);
    std::copy(values.begin(), values.end(), parameters.values().begin());
  }
};

// All bytes of a matrix's packed forms.
std::vector<std::byte> bytes_of(const PackedMatrix& m) {
  std::vector<std::byte> bytes;
  const auto add = [&](const void* data, std::int64_t size) {
    if (data == nullptr) return;
    const auto* begin = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), begin, begin + size);
  };
  add(m.packed, packed_b_count(m.OC, m.IC) * 2);
  add(m.packed_transposed, packed_b_count(m.IC, m.OC) * 2);
  add(m.q, m.q == nullptr ? 0 : int8_bytes(m.OC, m.IC));
  add(m.scales, m.OC * 4);
  return bytes;
}

void check_same(const PackedWeights& got, const PackedWeights& want, const std::string& what) {
  for (const Place& place : places()) {
    INFO(what << ", tensor " << place.tensor << ", layer " << place.layer);
    CHECK(bytes_of(got.matrix(place.tensor, place.layer)) ==
          bytes_of(want.matrix(place.tensor, place.layer)));
  }
}

// Packs random weights, changes all of them, and reports only [begin, end) as changed. The result must be the
// same as packing weights of which only [begin, end) changed.
void check_range(Packing packing, std::int64_t begin, std::int64_t end) {
  Random weights(1), want(1);
  const Random other(2);
  PackedWeights packed(weights.parameters, kMatrices, packing);
  // The other weights change too, but this is not reported, so their packed copies must stay unchanged.
  std::copy(other.parameters.values().begin(), other.parameters.values().end(),
            weights.parameters.values().begin());
  std::copy(other.parameters.values().begin() + begin, other.parameters.values().begin() + end,
            want.parameters.values().begin() + begin);
  packed.pack(begin, end - begin);
  check_same(packed, PackedWeights(want.parameters, kMatrices, packing), str("[", begin, ", ", end, ")"));
}

constexpr Packing kPackings[] = {Packing::bf16, Packing::bf16_twice, Packing::int8};

TEST_CASE("packed weights: packing one strip of rows again changes only this strip") {
  for (const Packing packing : kPackings) {
    for (const Place& place : places()) {
      for (std::int64_t row = 0; row < place.OC; row += kWeightRows) {
        const std::int64_t end = std::min(place.OC, row + kWeightRows);
        check_range(packing, place.offset + row * place.IC, place.offset + end * place.IC);
      }
    }
  }
}

TEST_CASE("packed weights: a range may hold several matrices, parts of matrices and other tensors") {
  const std::vector<Place> all = places();
  for (const Packing packing : kPackings) {
    const std::int64_t count = kConfig.parameter_count();
    check_range(packing, 0, count);
    check_range(packing, 0, 0);
    check_range(packing, count, count);
    check_range(packing, all[0].offset + 96 * 24,
                all[2].offset + 64 * 24);  // from the last rows of wte to the middle of layer 1 of qkvw
    check_range(packing, all[1].offset + 32 * 24, all.back().offset + 24 * 96);
    check_range(packing, 128 * 24, all[1].offset);  // wpe, a norm's weight and bias: no matrix at all
    check_range(packing, all.back().offset + 24 * 96, count);
  }
}

TEST_CASE("packed weights: every packed matrix holds its weights, rounded to bf16 or to 8 bits") {
  Random weights(3);
  const PackedWeights int8(weights.parameters, kMatrices, Packing::int8),
      twice(weights.parameters, kMatrices, Packing::bf16_twice),
      once(weights.parameters, kMatrices, Packing::bf16);
  CHECK(twice.size_bytes() > once.size_bytes());
  CHECK(once.size_bytes() > int8.size_bytes());
  for (const Place& place : places()) {
    INFO("tensor " << place.tensor << ", layer " << place.layer);
    const float* w = weights.parameters.values().data() + place.offset;
    const PackedMatrix& m = int8.matrix(place.tensor, place.layer);
    REQUIRE((m.offset == place.offset && m.OC == place.OC && m.IC == place.IC));
    CHECK((m.packed == nullptr && m.packed_transposed == nullptr));
    double worst = 0;
    for (std::int64_t o = 0; o < m.OC; ++o) {
      for (std::int64_t i = 0; i < m.IC; ++i) {
        const double q = m.q[int8_place(o, i, m.IC)], scale = static_cast<double>(m.scales[o]);
        worst = std::max(worst, std::abs(q * scale - static_cast<double>(w[o * m.IC + i])) / scale);
      }
    }
    CHECK(worst <= 0.501);  // half a unit, plus a little because the scale is rounded too
    // The same check for bf16, through products with the identity matrix, whose results are the packed
    // weights.
    const PackedMatrix& b = twice.matrix(place.tensor, place.layer);
    REQUIRE((b.packed != nullptr && b.packed_transposed != nullptr && b.q == nullptr));
    CHECK((once.matrix(place.tensor, place.layer).packed != nullptr));
    CHECK((once.matrix(place.tensor, place.layer).packed_transposed == nullptr));
    const auto identity = [](std::int64_t n) {
      std::vector<float> one(static_cast<std::size_t>(n * n));
      for (std::int64_t i = 0; i < n; ++i) one[static_cast<std::size_t>(i * n + i)] = 1;
      return one;
    };
    const std::vector<float> eye_in = identity(m.IC), eye_out = identity(m.OC);
    std::vector<float> transposed(static_cast<std::size_t>(m.IC * m.OC)), plain(transposed.size());
    gemm_bf16(MatrixOut<float>{transposed.data(), m.OC}, rows(eye_in.data(), m.IC), b.packed,
              {m.IC, m.OC, m.IC});
    gemm_bf16(MatrixOut<float>{plain.data(), m.IC}, rows(eye_out.data(), m.OC), b.packed_transposed,
              {m.OC, m.IC, m.OC});
    std::int64_t wrong = 0;
    for (std::int64_t o = 0; o < m.OC; ++o) {
      for (std::int64_t i = 0; i < m.IC; ++i) {
        const float rounded = to_float(inkling::to_bf16(w[o * m.IC + i]));
        if (transposed[static_cast<std::size_t>(i * m.OC + o)] != rounded) ++wrong;
        if (plain[static_cast<std::size_t>(o * m.IC + i)] != rounded) ++wrong;
      }
    }
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace inkling
