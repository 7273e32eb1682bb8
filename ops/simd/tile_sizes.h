// The sizes of the tiles of a bf16 product. The packing, the micro-kernels and the driver of
// ops/gemm/gemm_bf16.h share them. A tile has the size of an AMX tile register, so attention on AMX uses the
// sizes too.
#pragma once

#include <cstdint>

namespace inkling {

constexpr std::int64_t kTileLanes = 16;              // rows of A, or columns of B, in a tile
constexpr std::int64_t kTileK = 32;                  // a product of two tiles sums over 32 numbers
constexpr std::int64_t kTile = kTileLanes * kTileK;  // elements of a tile, 1 KiB of bf16
constexpr std::int64_t kPanelTiles = 3;              // tiles side by side in a panel of B
constexpr std::int64_t kPanelColumns = kPanelTiles * kTileLanes;  // 48 columns in a panel of B
constexpr std::int64_t kPanelStep = kPanelTiles * kTile;          // elements of a panel for 32 steps of k

enum class TileOrder : std::uint8_t {
  lane_pair,  // tiles of A: all pairs of the first lane, then of the second lane, and so on
  pair_lane,  // tiles of B: the first pair of all lanes, then the second pair of all lanes, and so on
};

}  // namespace inkling
