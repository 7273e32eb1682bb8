// The packed copies of weights, after an optimiser has updated the weights chunk by chunk. Every number of a
// matrix must be at the place that ops/gemm/gemm_bf16.h gives, for any division into chunks and strips.
#include "nn/packed_weights.h"

#include <algorithm>
#include <memory>

#include "ops/gemm/gemm_bf16.h"
#include "ops/update/adamw.h"
#include "ops/update/sgd.h"
#include "optim/adamw.h"
#include "optim/sgd.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

std::int64_t round_up(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// B (K,N) in the packed layout that ops/gemm/gemm_bf16.h describes: [N/48][K/32][3] tiles, each tile [pair of
// k][lane], padded with zeros.
std::vector<std::uint16_t> laid_out(const float* B, std::int64_t row_stride, std::int64_t column_stride,
                                    std::int64_t K, std::int64_t N) {
  const std::int64_t steps = round_up(K, 32) / 32;
  std::vector<std::uint16_t> packed(static_cast<std::size_t>(round_up(N, 48) * round_up(K, 32)));
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t k = 0; k < K; ++k) {
      const std::int64_t tile = (n / 48 * steps + k / 32) * 3 + n % 48 / 16;
      const std::int64_t place = tile * 512 + k % 32 / 2 * 32 + n % 16 * 2 + k % 2;
      packed[static_cast<std::size_t>(place)] = inkling::to_bf16(B[k * row_stride + n * column_stride]).bits;
    }
  }
  return packed;
}

void check_packed(const std::string& name, const bf16* got, const std::vector<std::uint16_t>& want) {
  for (std::size_t i = 0; i < want.size(); ++i) {
    if (got[i].bits == want[i]) continue;
    FAIL_CHECK(name << ": number " << i << " of " << want.size() << " is not the packed weight");
    return;
  }
  CHECK(true);
}

// Sizes around a chunk of 65,536 floats: chunks of many strips of 32 rows and a shorter last one; strips of
// just less than a chunk, exactly a chunk, and more; a stack of matrices; and tensors between them that are
// not packed.
const std::vector<ParameterSpec> kTensors{
    {"many strips", {1003, 100}, true}, {"bias", {65537}, false},       {"stack", {3, 330, 202}, true},
    {"just less", {70, 2047}, true},    {"norm", {5}, false},           {"as long", {65, 2048}, true},
    {"more", {97, 2049}, true},         {"one chunk", {64, 1024}, true}};
const std::vector<std::size_t> kMatrices{0, 2, 3, 5, 6, 7};

// One rounding of the weight and a few roundings of the step. The step is at most 1e-3 of the weight.
constexpr Tolerance kUpdateTolerance{1e-7, 3e-7};

TEST_CASE("packed weights: after an update in chunks both copies have every new weight in its place") {
  for_each_isa([] {
    for (const bool is_adamw : {true, false}) {
      Parameters parameters(kTensors);
      const std::int64_t n = parameters.count();
      const std::vector<float> start = random_floats(n, 1), g = random_floats(n, 2);
      std::copy(start.begin(), start.end(), parameters.values().begin());
      PackedWeights packed(parameters, kMatrices, Packing::bf16_twice);
      const std::vector<ParameterSegment> segments = segments_of(parameters.table());
      std::unique_ptr<Optimizer> optimizer;
      if (is_adamw) {
        optimizer = std::make_unique<AdamW>(segments, AdamWSettings{0.9, 0.95, 1e-8, 0.1});
      } else {
        optimizer = std::make_unique<Sgd>(segments, SgdSettings{0.9, 0.1});
      }
      INFO(optimizer->name());
      optimizer->step(parameters.values().data(), g.data(), 1, 0.01f, 0.5f,
                      [&](std::int64_t offset, std::int64_t count) { packed.pack(offset, count); });

      std::vector<double> want = as_doubles(start);
      const std::vector<double> gradient = as_doubles(g);
      for (const Parameter& p : parameters.table()) {
        std::vector<double> m(static_cast<std::size_t>(p.shape.numel())), v = m;
        double* weight = want.data() + p.offset;
        if (is_adamw) {
          reference::adamw_update(weight, m.data(), v.data(), gradient.data() + p.offset, p.shape.numel(),
                                  AdamWStep{0.9, 0.95, 1e-8, p.decay ? 0.1 : 0.0, 0.01, 0.5, 1});
        } else {
          reference::sgd_update(weight, m.data(), gradient.data() + p.offset, p.shape.numel(),
                                SgdFactors{0.01f, 0.9f, p.decay ? 0.1f : 0.0f, 0.5f});
        }
      }
      check_close("weights", std::span<const float>(parameters.values()), want, kUpdateTolerance);

      for (const std::size_t t : kMatrices) {
        const Parameter& p = parameters.table()[t];
        const bool stacked = p.shape.rank == 3;
        const std::int64_t OC = p.shape[stacked ? 1 : 0], IC = p.shape.back();
        for (std::int64_t layer = 0; layer < (stacked ? p.shape[0] : 1); ++layer) {
          const float* W = parameters.values().data() + p.offset + layer * OC * IC;
          const PackedMatrix& matrix = packed.matrix(t, layer);
          check_packed(p.name, matrix.packed, laid_out(W, 1, IC, IC, OC));
          check_packed(p.name + ", transposed", matrix.packed_transposed, laid_out(W, IC, 1, OC, IC));
        }
      }
    }
  });
}

TEST_CASE("segments: a chunk of a matrix is whole strips of 32 rows, at most 65,536 floats or one strip") {
  const Parameters parameters(kTensors);
  const std::vector<SegmentChunk> chunks = cut_segments(segments_of(parameters.table()));
  std::int64_t at = 0;
  for (const SegmentChunk& c : chunks) {
    INFO("chunk at " << c.offset);
    REQUIRE(c.offset == at);  // the chunks cover every weight once, in order
    at += c.count;
    const auto holds_chunk = [&](const Parameter& p) {
      return p.offset <= c.offset && c.offset < p.offset + p.shape.numel();
    };
    const Parameter& p = *std::find_if(parameters.table().begin(), parameters.table().end(), holds_chunk);
    CHECK(c.decay == p.decay);
    if (p.shape.rank == 1) {
      CHECK(c.count <= 65536);
      continue;
    }
    const std::int64_t columns = p.shape.back(), matrix = p.shape[p.shape.rank - 2] * columns;
    const std::int64_t begin = (c.offset - p.offset) % matrix, end = begin + c.count;
    CHECK(begin % (32 * columns) == 0);
    CHECK((end == matrix || (end < matrix && end % (32 * columns) == 0)));
    CHECK((c.count <= 65536 || c.count <= 32 * columns));
  }
  CHECK(at == parameters.count());
}

}  // namespace
}  // namespace inkling
