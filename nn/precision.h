// Precision: the number formats that a model computes with.
//
//   f32    everything is f32
//   bf16   in f32: master weights, residual stream, norms, softmax, sums, loss, gradients of weights and the
//          optimiser; in bf16: the packed copies of the matrices, the activations between matrices, and the
//          gradients of those activations
//   int8   matrices have 8 bits, everything else is f32; only for generating and evaluating
#pragma once

#include <string>

#include "core/tape.h"

namespace inkling {

enum class Precision { f32, bf16, int8 };

const char* name(Precision precision);

// Converts a name to a Precision. For an unknown name, the Error lists all names. Recording::on means
// training, for which int8 is an Error.
Precision parse_precision(const std::string& name, Recording recording);

}  // namespace inkling
