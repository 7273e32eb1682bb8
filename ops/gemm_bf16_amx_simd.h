// The micro-kernel of ops/gemm_bf16.h on AMX: tiles of A and B are loaded as they were packed.
//
// One tile of A meets the three of a panel of B: with three of C that leaves two registers to load into. A 2
// x 2 block would load a sixth less, but the more registers are in use the longer an instruction takes on the
// machines measured (5 live: 16 ns, 8: 30), and three sums hide the latency of 52 cycles well enough.
#pragma once

#include "ops/amx_simd.h"
#include "ops/gemm_bf16_tiles.h"

namespace inkling::simd {

// As multiply_widened in ops/gemm_bf16_simd.h.
template <class Arch>
void multiply_amx(float* C, const bf16* a, std::int64_t a_stride, const bf16* b, std::int64_t tiles_a,
                  std::int64_t steps, bool accumulate) noexcept {
  const Tiles tiles;
  for (std::int64_t i = 0; i < tiles_a; ++i, a += a_stride, C += kTileLanes * kPanelColumns) {
    if (accumulate) {
      tile_load<0>(C, kPanelColumns);
      tile_load<1>(C + kTileLanes, kPanelColumns);
      tile_load<2>(C + 2 * kTileLanes, kPanelColumns);
    } else {
      tile_zero<0>();
      tile_zero<1>();
      tile_zero<2>();
    }
    for (std::int64_t s = 0; s < steps; ++s) {
      const bf16* b_s = b + s * kPanelStep;
      tile_load<3>(a + s * kTile, kTileK);
      tile_load<4>(b_s, kTileK);
      tile_multiply<0, 3, 4>();
      tile_load<4>(b_s + kTile, kTileK);
      tile_multiply<1, 3, 4>();
      tile_load<4>(b_s + 2 * kTile, kTileK);
      tile_multiply<2, 3, 4>();
    }
    tile_store<0>(C, kPanelColumns);
    tile_store<1>(C + kTileLanes, kPanelColumns);
    tile_store<2>(C + 2 * kTileLanes, kPanelColumns);
  }
}

}  // namespace inkling::simd
