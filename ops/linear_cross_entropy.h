// The tied head and its loss in one: logits = x wte^T, loss = cross_entropy(logits, targets), row block by
// row block.
//
// Logits are the largest array of GPT-2 by far: B*T*Vp floats, 4 * 1024 * 50304 * 4 bytes = 824 MB for a
// small batch. So no array (B,T,V) ever exists. A chunk of rows goes all the way while it is in a buffer of
// some 128 MiB:
//   logits  = x wte^T          (rows,Vp)   a gemm
//   losses, dlogits            (rows,Vp)   in place of the logits: ops/cross_entropy.h
//   dx      = dlogits wte      (rows,C)    a gemm; kept on the tape until backward
//   dwte   += dlogits^T x      (Vp,C)      a gemm; straight into the leaf's gradient
// With packed weights (ops/linear.h) the gemms are those of bf16; logits, losses and dwte stay f32, and
// dlogits are rounded to bf16 in the first half of each row of logits.
//
// This op alone differentiates in its forward pass. The others keep what their backward needs; this one would
// have to keep all logits, or compute them again: one more gemm of 2*B*T*Vp*C operations, a tenth of a 124M
// model's step. The price is that the seed of backward must be known beforehand. It is `loss_scale`, which
// all of dlogits carry: 1 for a plain step, 1/n when the gradients of n micro-batches are summed. backward
// checks the promise; nothing but the loss itself may be its start.
//
// Shapes: x, dx (B,T,C), or (...,C); wte, dwte (Vp,C); targets (B,T).
#pragma once

#include "core/tape.h"
#include "ops/linear.h"

namespace inkling {

// -> the mean loss over targets that are not -1, a scalar, not scaled. wte must be a leaf (or a view of one);
// without a gradient, it gets none. Targets may be forgotten at once. Errors as in cross_entropy; in backward
// if its seed is not loss_scale.
Tensor linear_cross_entropy(Tape& tape, const Tensor& x, const Weight& wte, const Tensor& targets,
                            std::int64_t vocab, float loss_scale);

// The loss of each row, 0 for those with target -1 (which may be all): for evaluation. Shapes as above,
// losses as many as targets. The sum of many is sum_losses(). Errors as above.
void linear_token_losses(float* losses, const Tensor& x, const Weight& wte, const Tensor& targets,
                         std::int64_t vocab);

}  // namespace inkling
