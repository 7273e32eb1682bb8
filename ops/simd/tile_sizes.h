// The sizes that the packing, the micro-kernels and the driver of ops/gemm/gemm_bf16.h share. A tile has the
// size of an AMX tile register, so attention on AMX uses them too.
#pragma once

#include <cstdint>

namespace inkling {

constexpr std::int64_t kTileLanes = 16;              // rows of A, or columns of B
constexpr std::int64_t kTileK = 32;                  // a product of two tiles sums over 32 numbers
constexpr std::int64_t kTile = kTileLanes * kTileK;  // elements, 1 KiB
constexpr std::int64_t kPanelTiles = 3;              // tiles side by side in a panel of B
constexpr std::int64_t kPanelColumns = kPanelTiles * kTileLanes;  // 48
constexpr std::int64_t kPanelStep = kPanelTiles * kTile;          // elements of a panel for 32 steps of k

enum class TileOrder : std::uint8_t {
  lane_pair,  // tiles of A: all pairs of the first lane, then of the second lane, and so on
  pair_lane,  // tiles of B: the first pair of all lanes, then the second pair of all lanes, and so on
};

}  // namespace inkling
