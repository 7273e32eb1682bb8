#include "nn/precision.h"

#include "core/error.h"

namespace inkling {

const char* name(Precision precision) {
  return precision == Precision::bf16 ? "bf16" : "f32";
}

Precision parse_precision(const std::string& wanted) {
  for (Precision precision : {Precision::f32, Precision::bf16}) {
    if (wanted == name(precision)) return precision;
  }
  fail("precision is ", wanted, ", expected f32 or bf16");
}

}  // namespace inkling
