// What a model computes in.
//
//   f32    everything
//   bf16   f32 master weights, residual stream, norms, softmax, sums, loss, optimiser, gradients of weights;
//          bf16 copies of the matrices, bf16 activations between them and bf16 gradients of those
//   int8   f32, but for the matrices, which are of 8 bits: for generating and evaluating only
#pragma once

#include <string>

#include "core/tape.h"

namespace inkling {

enum class Precision { f32, bf16, int8 };

const char* name(Precision precision);

// Error, with the choices, for a name that is none of those to train in (Recording::on) or to use a model in.
Precision parse_precision(const std::string& name, Recording recording);

}  // namespace inkling
