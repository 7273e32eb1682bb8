// Causal multi-head attention (Vaswani et al. 2017, 3.2), without ever holding a T x T matrix.
//
// The input qkv (B, T, 3C) has in each row a query, a key and a value of C numbers, of each of which head h
// of NH owns HS = C / NH columns, from h * HS on. For one head of one sequence, Q, K, V, O are (T, HS), and
// forward, with scale = 1 / sqrt(HS), is
//   pass 1:  S_tk = scale * sum_c Q_tc K_kc              for k <= t: a token sees itself and what came before
//   pass 2:  m_t  = max_k S_tk
//   pass 3:  P_tk = exp(S_tk - m_t) * r_t,   r_t = 1 / sum_k exp(S_tk - m_t)
//   pass 4:  O_tc = sum_k P_tk V_kc
// The maximum changes nothing in exact arithmetic; it keeps every exp at or below 1, so no score overflows.
//
// Backward, given dO, undoes the passes from the last to the first:
//   pass 4:  dV_kc = sum_t P_tk dO_tc                    t >= k
//            dP_tk = sum_c dO_tc V_kc
//   pass 3:  row by row P is a softmax, dP_tk/dS_tj = P_tk (delta_kj - P_tj), so
//            dS_tk = P_tk (dP_tk - D_t),
//            D_t   = sum_j P_tj dP_tj = sum_j P_tj sum_c dO_tc V_jc = sum_c dO_tc O_tc
//   pass 2:  nothing: P does not depend on m
//   pass 1:  dQ_tc = scale * sum_k dS_tk K_kc            k <= t
//            dK_kc = scale * sum_t dS_tk Q_tc            t >= k
// The last form of D needs rows of O and dO only. That is what makes backward work in tiles (Dao et al.
// 2022): from m and r any piece of P can be computed again, used and forgotten. Dao keeps one number,
// m - log r; we keep both, because beside an m of 1e4 the float has no digits left for log r, and so that
// backward finds the very bits of exp(S - m) that forward used (but for AMX, where m is rounded on the way).
//
// Tiles. One task computes one head of one sequence, for tiles of 64 queries against blocks of keys up to the
// last query; blocks above the diagonal are never touched. Forward holds the scores of its 64 queries against
// all their keys, (T, 64), which fits in the second cache, so the softmax is the exact one of three passes;
// the online softmax (Milakov & Gimelshein 2018), which corrects what it has summed whenever the maximum
// grows, would save that strip and cost arithmetic. Backward knows m and r beforehand and needs one block of
// P and dS at a time.
//
// On AMX, where products are so fast that the strip would take too long to write and read, forward is online,
// in tiles of 32 queries, and backward takes tiles of 256 (ops/attention_*_amx_simd.h).
//
// Causality is exact: row t of O is computed from rows 0..t of K and V by operations whose order depends on t
// and k alone, so that whatever follows, be it NaN, cannot change a bit of it.
//
// Next: ops/attention.cc, then ops/tile_simd.h and ops/attention_forward_simd.h. With a cache of keys:
// ops/attention_decode.h.
#pragma once

#include "core/tape.h"

namespace inkling {

// qkv (B, T, 3C) -> (B, T, C), C = heads * HS; f32 or bf16. In bf16 the maximum, the sums and all that is
// accumulated are floats nevertheless.
Tensor attention(Tape& tape, const Tensor& qkv, std::int64_t heads);

// What the kernels and their callers agree on.
constexpr std::int64_t kQueryTile = 64;  // queries a tile
constexpr std::int64_t kKeyBlock = 64;   // keys a block
constexpr std::int64_t kHeadPad = 16;    // packed rows are padded to a multiple of it: the widest register
// On AMX, where a product is 32 deep:
constexpr std::int64_t kAmxStrip = 32;     // queries a tile forward; queries a group, keys a strip backward
constexpr std::int64_t kAmxQueries = 256;  // queries a tile, backward
constexpr std::int64_t kAmxKeys = 128;     // keys a block, forward
constexpr std::int64_t kAmxHeadPad = 32;

constexpr std::int64_t pad_to(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// Floats of scratch that a kernel of one head wants at most for T keys.
std::int64_t attention_scratch_floats(std::int64_t T, std::int64_t HS);

namespace reference {  // Real is float or double

// out (B, T, C); max and inverse_sum (B, NH, T) are m and r above.
template <class Real>
void attention_forward(Real* out, Real* max, Real* inverse_sum, const Real* qkv, std::int64_t B,
                       std::int64_t T, std::int64_t C, std::int64_t NH);

template <class Real>  // dqkv (B, T, 3C) is accumulated
void attention_backward(Real* dqkv, const Real* dout, const Real* qkv, std::int64_t B, std::int64_t T,
                        std::int64_t C, std::int64_t NH);

}  // namespace reference

}  // namespace inkling
