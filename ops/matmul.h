// Matrix multiplication of tensors: the last two axes are matrices, and the leading axes are a batch of
// matrices.
//
//   c[..., m, n] = sum_k a[..., m, k] b[..., k, n], C = A B for each matrix.
// Backward: a_mk contributes to c_mn for every n; b_kn contributes to c_mn for every m:
//   dA = dC B^T,  dB = A^T dC, summed over all matrices of A that were multiplied by the same B.
//
// This op runs as gemm (ops/gemm/gemm.h). GPT-2 does not use it in training: see ops/linear.h and
// ops/attention/attention.h.
//
// Shapes: a (..., M, K); b (..., K, N) with the same leading axes, or (K, N), shared by all; c (..., M, N).
#pragma once

#include "core/tape.h"

namespace inkling {

// The product of a and b, which have rank 2 to 4. Operands may be views with any strides, for example
// transposed.
Tensor matmul(Tape& tape, const Tensor& a, const Tensor& b);

}  // namespace inkling
