// Causal multi-head attention (Vaswani et al. 2017, 3.2). It never stores a whole T x T matrix.
//
// Each row of the input qkv (B, T, 3C) holds a query, a key and a value of C numbers each. Head h of NH owns
// HS = C / NH columns of each, starting at column h * HS. For one head of one sequence, Q, K, V, O are
// (T, HS). With scale = 1 / sqrt(HS), forward is
//   pass 1:  S_tk = scale * sum_c Q_tc K_kc              for k <= t: itself and the tokens before it
//   pass 2:  m_t  = max_k S_tk
//   pass 3:  P_tk = exp(S_tk - m_t) * r_t,   r_t = 1 / sum_k exp(S_tk - m_t)
//   pass 4:  O_tc = sum_k P_tk V_kc
// The maximum changes nothing in exact arithmetic; it keeps every exp at or below 1, so no score overflows.
//
// Backward, given dO, goes through the passes from the last to the first:
//   pass 4:  dV_kc = sum_t P_tk dO_tc                    t >= k
//            dP_tk = sum_c dO_tc V_kc
//   pass 3:  row by row P is a softmax, dP_tk/dS_tj = P_tk (delta_kj - P_tj), so
//            dS_tk = P_tk (dP_tk - D_t),
//            D_t   = sum_j P_tj dP_tj = sum_j P_tj sum_c dO_tc V_jc = sum_c dO_tc O_tc
//   pass 2:  nothing: P does not depend on m
//   pass 1:  dQ_tc = scale * sum_k dS_tk K_kc            k <= t
//            dK_kc = scale * sum_t dS_tk Q_tc            t >= k
// The last form of D needs only one row of O and of dO. Therefore backward works in tiles (Dao et al. 2022):
// from m and r, any piece of P can be computed again, used, and dropped. Dao stores one number, m - log r.
// We store both, for two reasons: a float that holds an m of 1e4 has no digits left for log r, and backward
// then computes the same bits of exp(S - m) as forward (except on AMX, where m is rounded).
//
// Tiles. One task computes one head of one sequence. It takes tiles of 64 queries and goes over the blocks of
// keys up to the tile's last query; blocks above the diagonal are skipped. Forward stores the scores of its
// 64 queries against all their keys, a strip (T, 64) that fits into the L2 cache. So it can compute the
// softmax in the three passes above. The online softmax (Milakov & Gimelshein 2018) rescales its sums
// whenever the maximum grows; it needs no strip, but more arithmetic. Backward knows m and r from forward and
// needs one block of P and dS at a time.
//
// On AMX, products are so fast that writing and reading the strip would take too long. There forward uses the
// online softmax in tiles of 32 queries, and backward takes tiles of 256 (attention_*_amx_simd.h).
//
// Causality is exact: row t of O is computed from rows 0..t of K and V, by operations whose order depends
// only on t and k. Later rows cannot change a single bit of it, not even if they hold NaN.
//
// Documents. A row may hold several documents, one after another. A token then sees only the tokens of its
// own document, itself and those before it. `positions` says where documents begin: it has each token's
// position in its document, so a document begins wherever it is 0. Attention inside a document of n tokens is
// attention with T = n on these tokens, so the kernels run once for each document. Tokens of other documents
// are not read, and the work is n^2 for each document instead of T^2.
//
// In training, forward runs as attention_forward in ops/attention/attention_forward_simd.h and backward as
// attention_backward in ops/attention/attention_backward_simd.h.
//
// Read next: ops/attention/attention.cc, then ops/gemm/tile_simd.h and
// ops/attention/attention_forward_simd.h. Attention with a KV cache: ops/attention/attention_decode.h.
#pragma once

#include "core/tape.h"

namespace inkling {

// qkv (B, T, 3C) -> (B, T, C), C = heads * HS; f32 or bf16. With bf16 inputs, the maximum and all sums are
// still f32. positions is i32 (B, T), or empty if each row is one document. Error unless each position is 0
// or one more than the position before it. The memory of positions must live until backward.
Tensor attention(Tape& tape, const Tensor& qkv, std::int64_t heads, const Tensor& positions = {});

// Sizes that the kernels and their callers share.
constexpr std::int64_t kQueryTile = 64;  // queries in a tile
constexpr std::int64_t kKeyBlock = 64;   // keys in a block
constexpr std::int64_t kHeadPad = 16;    // packed rows are padded to a multiple of this, the widest register
// The sizes on AMX, where one product sums over 32 numbers. In forward, kAmxStrip is the number of queries in
// a tile. In backward, it is the number of queries in a group and the number of keys in a strip.
constexpr std::int64_t kAmxStrip = 32;
constexpr std::int64_t kAmxQueries = 256;  // backward: queries in a tile
constexpr std::int64_t kAmxKeys = 128;     // forward: keys in a block
constexpr std::int64_t kAmxHeadPad = 32;   // packed rows are padded to a multiple of this

constexpr std::int64_t pad_to(std::int64_t n, std::int64_t unit) {
  return (n + unit - 1) / unit * unit;
}

// The arguments of the kernels: one head of one sequence. Real is float or bf16.
template <class Real>
struct AttentionForward {
  Real* out;  // (T, HS), rows out_stride apart
  std::int64_t out_stride;
  float *max, *inverse_sum;  // (T), m and r above; both nullptr if they are not needed
  const Real *q, *k, *v;     // (T, HS), rows `stride` apart
  std::int64_t stride;
  std::int64_t T, HS;
};
template <class Real>
struct AttentionBackward {
  Real *dq, *dk, *dv;      // (T, HS), rows `stride` apart
  const Real *dout, *out;  // (T, HS), rows out_stride apart
  std::int64_t out_stride;
  const Real *q, *k, *v;  // (T, HS), rows `stride` apart
  std::int64_t stride;
  const float *max, *inverse_sum;  // (T)
  std::int64_t T, HS;
  bool accumulate;  // add to dq, dk and dv instead of assigning them
};

// The number of floats of scratch memory that a kernel needs at most, for one head and T keys.
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
