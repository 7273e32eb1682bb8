// The output head (its weight is the embedding wte) and the loss in one op: logits = x wte^T, loss =
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
// linear_cross_entropy is the only op that computes gradients in its forward pass. Other ops store what their
// backward needs. This op would have to store all logits or compute them a second time: a gemm of 2*B*T*Vp*C
// operations, a tenth of the step of a 124M model. The disadvantage: backward must start from this loss
// itself, with a gradient of 1; any other gradient is an Error. It is also an Error if a backward of the tape
// does not reach this loss, because the forward pass has already added to dwte.
//
// Micro-batches: a step may be split into micro-batches, each with its own loss, whose gradients are summed.
// Then the mean is taken over the targets of the whole step: `mean_over` is the number of these targets, so
// that each micro-batch contributes sum(losses) / mean_over, and the contributions add up to the mean.
//
// In training this runs as losses_and_gradients in ops/linear_cross_entropy.cc.
//
// Shapes: x, dx (B,T,C), or (...,C); wte, dwte (Vp,C); targets (B,T).
#pragma once

#include "core/tape.h"
#include "ops/linear.h"

namespace inkling {

// Returns the sum of the losses of all targets that are not -1, divided by mean_over; a scalar. If mean_over
// is 0, the sum is divided by the number of these targets, so the result is their mean. wte must be a leaf or
// a view of a leaf; it may have no gradient. The targets' memory may be freed after the call. Errors as in
// cross_entropy, and if mean_over is less than the number of targets that are not -1.
Tensor linear_cross_entropy(Tape& tape, const Tensor& x, const Weight& wte, const Tensor& targets,
                            std::int64_t vocab, std::int64_t mean_over = 0);

// Computes the loss of each row, for evaluation; 0 where the target is -1. All targets may be -1. Shapes and
// errors are the same as for linear_cross_entropy(); `losses` has one number for each target. Add them with
// sum_losses().
void linear_token_losses(float* losses, const Tensor& x, const Weight& wte, const Tensor& targets,
                         std::int64_t vocab);

}  // namespace inkling
