#include "ops/gemm/gemm_bf16.h"

#include <algorithm>
#include <atomic>

#include "core/memory.h"
#include "core/parallel.h"
#include "ops/gemm/gemm.h"
#include "ops/kernels.h"
#include "ops/simd/tile_sizes.h"

namespace inkling {

namespace {

// The most steps of k in one pass over K. A product with a larger K takes several passes, and each pass adds
// to C. Only the head's dX (K = Vp) and the dW of more than 4096 tokens have a larger K.
constexpr std::int64_t kMostK = 4096;
constexpr std::int64_t kBlockSteps = 12;  // steps of a panel of B that stay in L1: 36 of 48 KiB
constexpr std::int64_t kMostRows = 512;   // rows in a chunk of A; the sums of a panel then take 96 KiB of L2
constexpr std::int64_t kChunkBytes = std::int64_t{1}
                                     << 20;  // the size of a chunk of A, so that it stays in L2
constexpr std::int64_t kRun = 4;  // panels that are finished together if C is streamed: 768 bytes of a row
constexpr std::int64_t kFewSteps =
    32;  // the most steps for which kRun is used: with more, finishing takes a small part of the time
constexpr std::int64_t kTasks = 8;  // the fewest tasks: with fewer, some threads would finish much later
constexpr std::int64_t kTaskMultiplies = std::int64_t{1} << 22;  // the smallest task: 5 to 10 us
constexpr std::int64_t kPackedTask = std::int64_t{1} << 15;      // numbers that a packing task reads
constexpr std::int64_t kStreamed = std::int64_t{1} << 16;  // numbers of B in a task for a few rows of A: 5 us
static_assert(kGemvRows <= kTileLanes);

std::int64_t tiles(std::int64_t lanes) {
  return ceil_div(lanes, kTileLanes);
}
std::int64_t panels(std::int64_t columns) {
  return ceil_div(columns, kPanelColumns);
}
std::int64_t k_steps(std::int64_t K) {
  return ceil_div(K, kTileK);
}

// Packs all rows of `in` as lanes, and columns [k, k + K) as steps. The tile of lanes 16 i .. 16 i + 15 and
// step s goes to place(i, s). Tasks read in the order of memory: a few lanes over all steps, or a few steps
// of all lanes.
template <class T, class Place>
void pack(const MatrixIn<T>& in, std::int64_t lanes, std::int64_t lane_tiles, std::int64_t k, std::int64_t K,
          TileOrder order, const Place& place) {
  const auto pack_tiles = [&](std::int64_t i, std::int64_t s, std::int64_t steps) {
    const std::int64_t lane = i * kTileLanes, count = std::clamp<std::int64_t>(lanes - lane, 0, kTileLanes);
    const std::int64_t k_here = k + s * kTileK, K_here = std::min(steps * kTileK, K - s * kTileK);
    const std::int64_t step = steps > 1 ? place(i, s + 1) - place(i, s) : 0;
    kernels().of<T>().pack({place(i, s), step, order, false}, in.from(lane, k_here), count, K_here);
  };
  const std::int64_t steps = k_steps(K);
  if (in.col_stride == 1) {
    const std::int64_t group = std::max<std::int64_t>(1, kPackedTask / (steps * kTile));
    parallel_for(lane_tiles, group, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) pack_tiles(i, 0, steps);
    });
  } else {
    const std::int64_t group = std::max<std::int64_t>(1, kPackedTask / (lane_tiles * kTile));
    parallel_for(steps, group, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t s = begin; s < end; ++s) {
        for (std::int64_t i = 0; i < lane_tiles; ++i) pack_tiles(i, s, 1);
      }
    });
  }
}

// Packs A(M, [k, k + K)) into tiles [M/16][K/32].
template <class T>
void pack_a(bf16* packed, const MatrixIn<T>& A, std::int64_t M, std::int64_t k, std::int64_t K) {
  const std::int64_t row = k_steps(K) * kTile;  // elements in the tiles of 16 lanes
  pack(A, M, tiles(M), k, K, TileOrder::lane_pair,
       [=](std::int64_t i, std::int64_t s) { return packed + i * row + s * kTile; });
}

// Packs B([k, k + K), N), whose columns are the lanes, into panels [N/48][K/32][3].
template <class T>
void pack_panels(bf16* packed, const MatrixIn<T>& B, std::int64_t N, std::int64_t k, std::int64_t K) {
  const std::int64_t panel = k_steps(K) * kPanelStep;
  pack(B.transposed(), N, panels(N) * kPanelTiles, k, K, TileOrder::pair_lane,
       [=](std::int64_t i, std::int64_t s) {
         return packed + i / kPanelTiles * panel + i % kPanelTiles * kTile + s * kPanelStep;
       });
}

// Makes sure that streamed stores are in memory before another thread is told about them: only a full fence
// orders them with other stores.
void finish_streams() {
  std::atomic_thread_fence(std::memory_order_seq_cst);
}

// The number of rows of A in a chunk: few enough for L2, and about equal for all chunks.
std::int64_t chunk_tiles(std::int64_t M, std::int64_t K) {
  const std::int64_t bytes = k_steps(K) * kTile * 2;
  const std::int64_t most = std::clamp<std::int64_t>(kChunkBytes / bytes, 1, kMostRows / kTileLanes);
  return ceil_div(tiles(M), ceil_div(tiles(M), most));
}

// One pass over K: C = A B (...). `a` is packed as [M/16][steps].
template <class T>
void multiply_packed(const MatrixOut<T>& C, const bf16* a, Panels<bf16> b, ProductSize size) {
  const std::int64_t M = size.M, N = size.N, K = size.K;
  const std::int64_t steps = k_steps(K), a_stride = steps * kTile;
  const std::int64_t chunk = chunk_tiles(M, K), chunks = ceil_div(tiles(M), chunk);
  const std::int64_t panel_multiplies = chunk * kTileLanes * kPanelColumns * steps * kTileK;
  const std::int64_t even_share = panels(N) * chunks / kTasks;
  const std::int64_t group =
      std::clamp<std::int64_t>(std::max(even_share, kTaskMultiplies / panel_multiplies), 1, panels(N));
  const std::int64_t groups = ceil_div(panels(N), group);
  const std::int64_t run = C.stream && steps <= kFewSteps ? kRun : 1;
  parallel_chunks(chunks * groups, [&](std::int64_t task) {
    const std::int64_t first = task / groups * chunk, count = std::min(chunk, tiles(M) - first);
    const std::int64_t row = first * kTileLanes, rows = std::min(count * kTileLanes, M - row);
    const std::int64_t begin = task % groups * group, end = std::min(panels(N), begin + group);
    const std::int64_t panel_sums = count * kTileLanes * kPanelColumns;
    auto* sums =
        static_cast<float*>(thread_scratch(static_cast<std::size_t>(run * panel_sums) * sizeof(float)));
    for (std::int64_t panel = begin, at = 0; panel < end; ++panel) {
      for (std::int64_t s = 0; s < steps; s += kBlockSteps) {
        kernels().bf16_gemm.multiply(sums + at * panel_sums, a + first * a_stride + s * kTile, a_stride,
                                     b.data + panel * b.stride + s * kPanelStep, count,
                                     std::min(kBlockSteps, steps - s), s > 0);
      }
      if (++at < run && panel + 1 < end) continue;
      const std::int64_t column = (panel + 1 - at) * kPanelColumns;
      kernels().of<T>().finish(C.from(row, column), {sums, panel_sums}, rows,
                               std::min(at * kPanelColumns, N - column));
      at = 0;
    }
    if (C.stream) finish_streams();
  });
}

// Computes C for an A of a few rows and any K. Its speed is limited by reading B from memory.
template <class TC, class TA>
void multiply_few(const MatrixOut<TC>& C, const MatrixIn<TA>& A, const bf16* b, ProductSize size) {
  const std::int64_t M = size.M, N = size.N, K = size.K;
  const std::int64_t steps = k_steps(K), panel = steps * kPanelStep;
  const Workspace workspace(static_cast<std::size_t>(steps * kTile) * sizeof(bf16));
  auto* a = reinterpret_cast<bf16*>(workspace.bytes());
  pack_a(a, A, M, 0, K);
  parallel_for(
      panels(N), std::max<std::int64_t>(1, kStreamed / panel), [&](std::int64_t begin, std::int64_t end) {
        alignas(64) float sums[kTileLanes * kPanelColumns];
        for (std::int64_t i = begin; i < end; ++i) {
          kernels().bf16_gemm.multiply_few(sums, a, b + i * panel, M, steps);
          const std::int64_t column = i * kPanelColumns;
          kernels().of<TC>().finish(C.from(0, column), {sums, 0}, M, std::min(kPanelColumns, N - column));
        }
        if (C.stream) finish_streams();
      });
}

// The part of K that one pass takes, in whole steps. A bf16 C is computed in one pass, because a second pass
// would round it twice.
std::int64_t pass_length(const MatrixOut<float>& /*C*/, std::int64_t K) {
  return ceil_div(k_steps(K), ceil_div(K, kMostK)) * kTileK;
}
std::int64_t pass_length(const MatrixOut<bf16>& /*C*/, std::int64_t K) {
  return k_steps(K) * kTileK;
}

// For K = 0 the sum is empty, and C is bias + addend.
void fill_with_bias(const MatrixOut<float>& C, std::int64_t M, std::int64_t N) {
  gemm(C, {}, {}, {M, N, 0});
}
void fill_with_bias(const MatrixOut<bf16>& C, std::int64_t M, std::int64_t N) {
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < N; ++n) {
      const std::int64_t at = m * C.ld + n;
      C.data[at] = to_bf16((C.addend == nullptr ? 0.0f : to_float(C.addend[at])) +
                           (C.bias == nullptr ? 0.0f : C.bias[n]));
    }
  }
}

// Computes C in one pass over K. If K is long and C is f32, computes it in several passes that each add to C.
template <class TC, class TA, class PanelsOf>
void multiply_in_passes(MatrixOut<TC> C, const MatrixIn<TA>& A, const PanelsOf& panels_of, ProductSize size) {
  const auto [M, N, K] = size;
  if (M <= 0 || N <= 0) return;
  const std::int64_t K_most = pass_length(C, K);
  const Workspace packed(static_cast<std::size_t>(tiles(M) * K_most * kTileLanes) * sizeof(bf16));
  auto* a = reinterpret_cast<bf16*>(packed.bytes());
  for (std::int64_t k = 0; k < K; k += K_most) {
    const std::int64_t K_pass = std::min(K_most, K - k);
    pack_a(a, A, M, k, K_pass);
    multiply_packed(C, a, panels_of(k, K_pass), {M, N, K_pass});
    C.addend = C.data, C.bias = nullptr;
  }
}

}  // namespace

std::int64_t packed_b_count(std::int64_t N, std::int64_t K) {
  return panels(N) * k_steps(K) * kPanelStep;
}

template <class T>
void pack_b(bf16* packed, const MatrixIn<T>& B, std::int64_t K, std::int64_t N) {
  pack_panels(packed, B, N, 0, K);
}

void pack_weight_rows(bf16* packed, bf16* packed_transposed, const float* W, std::int64_t OC, std::int64_t IC,
                      std::int64_t begin, std::int64_t end) {
  const auto pack = kernels().of<float>().pack;
  const auto tile_at = [](bf16* panels, std::int64_t lane, std::int64_t k, std::int64_t K) {
    const std::int64_t tile = lane / kTileLanes;
    return panels + tile / kPanelTiles * k_steps(K) * kPanelStep + tile % kPanelTiles * kTile +
           k / kTileK * kPanelStep;
  };
  constexpr bool kStream =
      true;  // the optimiser goes over all weights, so none of them would stay in a cache
  for (std::int64_t o = begin; o < end; o += kTileLanes) {  // lanes are rows of W
    const TileRun to{tile_at(packed, o, 0, IC), kPanelStep, TileOrder::pair_lane, kStream};
    pack(to, rows(W + o * IC, IC), std::min(kTileLanes, end - o), IC);
  }
  for (std::int64_t k = begin; packed_transposed != nullptr && k < end; k += kTileK) {
    for (std::int64_t i = 0; i < IC; i += kTileLanes) {  // lanes are columns of W
      const TileRun to{tile_at(packed_transposed, i, k, OC), kPanelStep, TileOrder::pair_lane, kStream};
      pack(to, rows(W + k * IC + i, IC).transposed(), std::min(kTileLanes, IC - i),
           std::min(kTileK, end - k));
    }
  }
  finish_streams();
}

template <class TC, class TA>
void gemm_bf16(const MatrixOut<TC>& C, const MatrixIn<TA>& A, const bf16* packed_b, ProductSize size) {
  if (size.K <= 0) return fill_with_bias(C, size.M, size.N);
  if (size.M > 0 && size.M <= kGemvRows) return multiply_few(C, A, packed_b, size);
  const std::int64_t stride = k_steps(size.K) * kPanelStep;
  const auto panels_of = [&](std::int64_t k, std::int64_t /*count*/) {
    return Panels<bf16>{packed_b + k_steps(k) * kPanelStep, stride};
  };
  multiply_in_passes(C, A, panels_of, size);
}

template <class TC, class TA, class TB>
void gemm_bf16(const MatrixOut<TC>& C, const MatrixIn<TA>& A, const MatrixIn<TB>& B, ProductSize size) {
  if (size.K <= 0) return fill_with_bias(C, size.M, size.N);
  const Workspace packed(static_cast<std::size_t>(packed_b_count(size.N, pass_length(C, size.K))) *
                         sizeof(bf16));
  auto* b = reinterpret_cast<bf16*>(packed.bytes());
  const auto panels_of = [&](std::int64_t k, std::int64_t count) {
    pack_panels(b, B, size.N, k, count);
    return Panels<bf16>{b, k_steps(count) * kPanelStep};
  };
  multiply_in_passes(C, A, panels_of, size);
}

template void pack_b(bf16*, const MatrixIn<float>&, std::int64_t, std::int64_t);
template void pack_b(bf16*, const MatrixIn<bf16>&, std::int64_t, std::int64_t);
template void gemm_bf16(const MatrixOut<float>&, const MatrixIn<float>&, const bf16*, ProductSize);
template void gemm_bf16(const MatrixOut<float>&, const MatrixIn<bf16>&, const bf16*, ProductSize);
template void gemm_bf16(const MatrixOut<bf16>&, const MatrixIn<float>&, const bf16*, ProductSize);
template void gemm_bf16(const MatrixOut<bf16>&, const MatrixIn<bf16>&, const bf16*, ProductSize);
template void gemm_bf16(const MatrixOut<float>&, const MatrixIn<float>&, const MatrixIn<float>&, ProductSize);
template void gemm_bf16(const MatrixOut<float>&, const MatrixIn<float>&, const MatrixIn<bf16>&, ProductSize);
template void gemm_bf16(const MatrixOut<float>&, const MatrixIn<bf16>&, const MatrixIn<float>&, ProductSize);
template void gemm_bf16(const MatrixOut<float>&, const MatrixIn<bf16>&, const MatrixIn<bf16>&, ProductSize);
template void gemm_bf16(const MatrixOut<bf16>&, const MatrixIn<float>&, const MatrixIn<float>&, ProductSize);
template void gemm_bf16(const MatrixOut<bf16>&, const MatrixIn<float>&, const MatrixIn<bf16>&, ProductSize);
template void gemm_bf16(const MatrixOut<bf16>&, const MatrixIn<bf16>&, const MatrixIn<float>&, ProductSize);
template void gemm_bf16(const MatrixOut<bf16>&, const MatrixIn<bf16>&, const MatrixIn<bf16>&, ProductSize);

}  // namespace inkling
