// The output head (tied to the embedding) and the loss in one op: logits = x wte^T, loss =
// cross_entropy(logits, targets), computed for one chunk of rows after another.
//
// The logits would be the largest array of GPT-2 by far: B*T*Vp floats, 4 * 1024 * 50304 * 4 bytes = 824 MB
// for a small batch. So they are never stored as a whole. Each chunk of rows goes through all four steps in
// one buffer of about 128 MiB:
//   logits  = x wte^T          (rows,Vp)   a gemm
//   losses, dlogits            (rows,Vp)   in place of the logits: ops/cross_entropy.h
//   dx      = dlogits wte      (rows,C)    a gemm; stored on the tape until backward
//   dwte   += dlogits^T x      (Vp,C)      a gemm; added to the leaf's gradient at once
// With packed weights (ops/linear.h) the gemms compute in bf16. Logits, losses and dwte remain f32; dlogits
// are rounded to bf16 and stored in the first half of each row of logits.
//
// This is the only op that computes gradients in its forward pass. Other ops store what their backward needs.
// This op would have to store all logits or compute them a second time: a gemm of 2*B*T*Vp*C operations, a
// tenth of a 124M model's step. The price is that the seed of backward must be known in advance. It is
// `loss_scale`, a factor of all dlogits: 1 for a plain step, 1/n when the gradients of n micro-batches are
// summed. backward checks that its seed is loss_scale. It must start from this loss itself.
//
// Shapes: x, dx (B,T,C), or (...,C); wte, dwte (Vp,C); targets (B,T).
#pragma once

#include "core/tape.h"
#include "ops/linear.h"

namespace inkling {

// -> the mean loss over targets that are not -1, a scalar, not scaled. wte must be a leaf or a view of a
// leaf; it may have no gradient. The targets' memory may be freed after the call. Errors as in cross_entropy,
// and in backward if its seed is not loss_scale.
Tensor linear_cross_entropy(Tape& tape, const Tensor& x, const Weight& wte, const Tensor& targets,
                            std::int64_t vocab, float loss_scale);

// The loss of each row, for evaluation; 0 where the target is -1. All targets may be -1. Shapes as above;
// `losses` has as many numbers as `targets`. Add them with sum_losses(). Errors as above.
void linear_token_losses(float* losses, const Tensor& x, const Weight& wte, const Tensor& targets,
                         std::int64_t vocab);

}  // namespace inkling
