#include "ops/attention/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "core/portable_math.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference: one row of P at a time ----

namespace {

// Passes 1 to 3: computes row t of P from q = Q_t and K, whose rows are 3C apart. p has t + 1 numbers.
template <class Real>
void attention_row(Real* p, Real& max, Real& inverse_sum, const Real* q, const Real* K, std::int64_t t,
                   std::int64_t C, std::int64_t HS) {
  const Real scale = 1 / std::sqrt(static_cast<Real>(HS));
  // pass 1: scores
  for (std::int64_t k = 0; k <= t; ++k) {
    p[k] = 0;
    for (std::int64_t c = 0; c < HS; ++c) p[k] += q[c] * K[k * 3 * C + c];
    p[k] *= scale;
  }
  // pass 2: maximum
  max = -std::numeric_limits<Real>::infinity();
  for (std::int64_t k = 0; k <= t; ++k) max = std::max(max, p[k]);
  // pass 3: softmax
  Real sum = 0;
  for (std::int64_t k = 0; k <= t; ++k) sum += p[k] = portable::exp(p[k] - max);
  inverse_sum = 1 / sum;
  for (std::int64_t k = 0; k <= t; ++k) p[k] *= inverse_sum;
}

}  // namespace

template <class Real>
void reference::attention_forward(Real* out, Real* max, Real* inverse_sum, const Real* qkv, std::int64_t B,
                                  std::int64_t T, std::int64_t C, std::int64_t NH) {
  const std::int64_t HS = C / NH;
  std::vector<Real> p(static_cast<std::size_t>(T));
  for (std::int64_t b = 0; b < B; ++b) {
    for (std::int64_t h = 0; h < NH; ++h) {
      const Real *Q = qkv + b * T * 3 * C + h * HS, *K = Q + C, *V = K + C;
      for (std::int64_t t = 0; t < T; ++t) {
        const std::int64_t bht = (b * NH + h) * T + t;
        attention_row(p.data(), max[bht], inverse_sum[bht], Q + t * 3 * C, K, t, C, HS);
        // pass 4: O = P V
        Real* out_bth = out + (b * T + t) * C + h * HS;
        std::fill(out_bth, out_bth + HS, Real{0});
        for (std::int64_t k = 0; k <= t; ++k) {
          for (std::int64_t c = 0; c < HS; ++c)
            out_bth[c] += p[static_cast<std::size_t>(k)] * V[k * 3 * C + c];
        }
      }
    }
  }
}

template <class Real>
void reference::attention_backward(Real* dqkv, const Real* dout, const Real* qkv, std::int64_t B,
                                   std::int64_t T, std::int64_t C, std::int64_t NH) {
  const std::int64_t HS = C / NH;
  const Real scale = 1 / std::sqrt(static_cast<Real>(HS));
  std::vector<Real> p_row(static_cast<std::size_t>(T)), dp_row(static_cast<std::size_t>(T));
  Real *p = p_row.data(), *dp = dp_row.data();
  for (std::int64_t b = 0; b < B; ++b) {
    for (std::int64_t h = 0; h < NH; ++h) {
      const std::int64_t head = b * T * 3 * C + h * HS;
      const Real *Q = qkv + head, *K = Q + C, *V = K + C;
      Real *dQ = dqkv + head, *dK = dQ + C, *dV = dK + C;
      for (std::int64_t t = 0; t < T; ++t) {
        const Real* dout_bth = dout + (b * T + t) * C + h * HS;
        Real max = 0, inverse_sum = 0;
        attention_row(p, max, inverse_sum, Q + t * 3 * C, K, t, C, HS);
        // pass 4: dV_k += P_k dO, dP_k = dO V_k, and with it D = sum_k P_k dP_k
        Real D = 0;
        for (std::int64_t k = 0; k <= t; ++k) {
          dp[k] = 0;
          for (std::int64_t c = 0; c < HS; ++c) {
            dV[k * 3 * C + c] += p[k] * dout_bth[c];
            dp[k] += dout_bth[c] * V[k * 3 * C + c];
          }
          D += p[k] * dp[k];
        }
        // pass 3: dS = P (dP - D); pass 1: dQ += scale dS K, dK += scale dS Q
        for (std::int64_t k = 0; k <= t; ++k) {
          const Real ds = scale * p[k] * (dp[k] - D);
          for (std::int64_t c = 0; c < HS; ++c) {
            dQ[t * 3 * C + c] += ds * K[k * 3 * C + c];
            dK[k * 3 * C + c] += ds * Q[t * 3 * C + c];
          }
        }
      }
    }
  }
}

template void reference::attention_forward(float*, float*, float*, const float*, std::int64_t, std::int64_t,
                                           std::int64_t, std::int64_t);
template void reference::attention_forward(double*, double*, double*, const double*, std::int64_t,
                                           std::int64_t, std::int64_t, std::int64_t);
template void reference::attention_backward(float*, const float*, const float*, std::int64_t, std::int64_t,
                                            std::int64_t, std::int64_t);
template void reference::attention_backward(double*, const double*, const double*, std::int64_t, std::int64_t,
                                            std::int64_t, std::int64_t);

// ---- The differentiable op ----

std::int64_t attention_scratch_floats(std::int64_t T, std::int64_t HS) {
  constexpr std::int64_t kGaps = 4096;  // floats for the gaps between the arrays
  // Backward in f32 needs K, V, dK and dV, five tiles of queries, and P and dP. Forward in f32 needs K and V,
  // three tiles of queries, and a strip of scores.
  const std::int64_t HSp = pad_to(HS, kHeadPad), Tp = pad_to(T, kKeyBlock) + kKeyBlock;
  const std::int64_t floats = 4 * Tp * HSp + 5 * kQueryTile * HSp + (Tp + 2 * kKeyBlock) * kQueryTile;
  // Backward on AMX needs K, K^T and V in bf16, dK and dV in float; five tiles in bf16, and dQ of a tile and
  // of two groups in float; P and dS; scores and vectors. Forward on AMX needs less.
  const std::int64_t HSa = pad_to(HS, kAmxHeadPad), Ta = pad_to(T, kAmxStrip);
  const std::int64_t amx = (7 * Ta * HSa + 7 * kAmxQueries * HSa) / 2 + 2 * kAmxStrip * HSa +
                           (kAmxQueries / 2 + kAmxStrip) * kAmxQueries + 4096;
  return std::max(floats, amx) + kGaps;
}

namespace {

// A document in a row, and a head of it.
struct Part {
  std::int64_t in, out, row;  // the offsets of its first token in qkv, in out, and in max and inverse_sum
  std::int64_t T;             // its number of tokens
};

// Calls f(begin, end) for each document in a row of T tokens.
template <class F>
void for_each_document(const std::int32_t* positions, std::int64_t T, F&& f) {
  if (positions == nullptr) return f(std::int64_t{0}, T);
  for (std::int64_t begin = 0, end = 0; begin < T; begin = end) {
    for (end = begin + 1; end < T && positions[end] != 0;) ++end;
    f(begin, end);
  }
}

// One task for each head of each sequence. A task writes only its own columns of out and dqkv. It calls
// f(part, scratch) for each of the sequence's documents.
template <class F>
void for_each_part(const Tensor& qkv, std::int64_t heads, const Tensor& positions, F&& f) {
  const std::int64_t B = qkv.dim(0), T = qkv.dim(1), C = qkv.dim(2) / 3, HS = C / heads;
  const std::int32_t* all_positions = positions ? positions.i32() : nullptr;
  parallel_chunks(B * heads, [&](std::int64_t bh) {
    const std::int64_t b = bh / heads, h = bh % heads;
    float* scratch = static_cast<float*>(
        thread_scratch(static_cast<std::size_t>(attention_scratch_floats(T, HS)) * sizeof(float)));
    const std::int32_t* row = all_positions == nullptr ? nullptr : all_positions + b * T;
    for_each_document(row, T, [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t bt = b * T + begin;
      f(Part{bt * 3 * C + h * HS, bt * C + h * HS, bh * T + begin, end - begin}, scratch);
    });
  });
}

template <class Real>
void forward(const Tensor& y, float* max, float* inverse_sum, const Tensor& qkv, std::int64_t heads,
             const Tensor& positions) {
  const std::int64_t C = qkv.dim(2) / 3, HS = C / heads;
  const bool keep = max != nullptr;
  for_each_part(qkv, heads, positions, [&](const Part& part, float* scratch) {
    const Real* q = qkv.data<Real>() + part.in;
    kernels().of<Real>().attention_forward({.out = y.data<Real>() + part.out,
                                            .out_stride = C,
                                            .max = keep ? max + part.row : nullptr,
                                            .inverse_sum = keep ? inverse_sum + part.row : nullptr,
                                            .q = q,
                                            .k = q + C,
                                            .v = q + 2 * C,
                                            .stride = 3 * C,
                                            .T = part.T,
                                            .HS = HS},
                                           scratch);
  });
}

template <class Real>
void backward(Gradients& gradients, const Tensor& y, const Tensor& qkv, std::int64_t heads,
              const Tensor& positions, const float* max, const float* inverse_sum) {
  const std::int64_t C = qkv.dim(2) / 3, HS = C / heads;
  const Real* dy = gradients.of<Real>(y);
  const GradientTarget dqkv = gradients.target<Real>(qkv);
  for_each_part(qkv, heads, positions, [&](const Part& part, float* scratch) {
    const Real* q = qkv.data<Real>() + part.in;
    Real* dq = dqkv.data + part.in;
    kernels().of<Real>().attention_backward({.dq = dq,
                                             .dk = dq + C,
                                             .dv = dq + 2 * C,
                                             .dout = dy + part.out,
                                             .out = y.data<Real>() + part.out,
                                             .out_stride = C,
                                             .q = q,
                                             .k = q + C,
                                             .v = q + 2 * C,
                                             .stride = 3 * C,
                                             .max = max + part.row,
                                             .inverse_sum = inverse_sum + part.row,
                                             .T = part.T,
                                             .HS = HS,
                                             .accumulate = dqkv.accumulate},
                                            scratch);
  });
}

// The number of (query, key) pairs of all rows: n (n + 1) / 2 for each document of n tokens.
std::int64_t count_pairs(std::int64_t B, std::int64_t T, const Tensor& positions) {
  std::int64_t pairs = 0;
  for (std::int64_t b = 0; b < B; ++b) {
    for_each_document(
        positions ? positions.i32() + b * T : nullptr, T,
        [&](std::int64_t begin, std::int64_t end) { pairs += (end - begin) * (end - begin + 1) / 2; });
  }
  return pairs;
}

void check_positions(const Tensor& positions, std::int64_t B, std::int64_t T) {
  check_dtype("attention", "positions", positions, DType::i32);
  if (!(positions.shape() == Shape{B, T}) || !positions.contiguous())
    fail("attention: positions is ", positions.shape(), ", expected a contiguous (B=", B, ", T=", T, ")");
  for (std::int64_t bt = 0; bt < B * T; ++bt) {
    const std::int32_t position = positions.i32()[bt], next = bt % T == 0 ? 0 : positions.i32()[bt - 1] + 1;
    if (position == 0 || position == next) continue;
    fail("attention: positions(", bt / T, ", ", bt % T, ") is ", position, ", expected ",
         next == 0 ? "0, because the row begins here" : str("0 or ", next, ", one more than the one before"));
  }
}

template <class Real>
Tensor attention_of(Tape& tape, const Tensor& qkv, std::int64_t heads, const Tensor& positions) {
  const std::int64_t B = qkv.dim(0), T = qkv.dim(1), C = qkv.dim(2) / 3;
  const Tensor y = tape.output({B, T, C}, {qkv}, dtype_of<Real>);
  float* max = y.has_gradient() ? tape.keep(B * heads * T) : nullptr;
  float* inverse_sum = y.has_gradient() ? tape.keep(B * heads * T) : nullptr;
  // The multiply-adds of the causal half of one product. Forward has two products, backward five.
  const std::int64_t product = count_pairs(B, T, positions) * C;
  const auto scope = tape.scope("attention", y, multiplying(2 * product, {qkv, y}));
  forward<Real>(y, max, inverse_sum, qkv, heads, positions);
  tape.record("attention", {y}, {qkv}, multiplying(5 * product, {qkv, y, y, qkv}), [=](Gradients& gradients) {
    backward<Real>(gradients, y, qkv, heads, positions, max, inverse_sum);
  });
  return y;
}

}  // namespace

Tensor attention(Tape& tape, const Tensor& qkv, std::int64_t heads, const Tensor& positions) {
  if (qkv.rank() != 3 || qkv.dim(2) % 3 != 0)
    fail("attention: qkv is ", qkv.shape(), ", expected (B, T, 3C)");
  const std::int64_t C = qkv.dim(2) / 3;
  if (heads < 1 || C % heads != 0) fail("attention: heads is ", heads, ", expected a divisor of C=", C);
  if (!qkv.contiguous()) fail("attention: qkv ", qkv.shape(), " is not contiguous");
  if (positions) check_positions(positions, qkv.dim(0), qkv.dim(1));
  if (qkv.dtype() == DType::bf16) return attention_of<bf16>(tape, qkv, heads, positions);
  if (qkv.dtype() == DType::f32) return attention_of<float>(tape, qkv, heads, positions);
  fail("attention: qkv is ", name(qkv.dtype()), ", expected f32 or bf16");
}

}  // namespace inkling
