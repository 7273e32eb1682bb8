#include "nn/precision.h"

#include "core/error.h"

namespace inkling {

const char* name(Precision precision) {
  switch (precision) {
    case Precision::f32:
      return "f32";
    case Precision::bf16:
      return "bf16";
    case Precision::int8:
      return "int8";
  }
  return "?";
}

Precision parse_precision(const std::string& wanted, Recording recording) {
  const bool training = recording == Recording::on;
  for (Precision precision : {Precision::f32, Precision::bf16, Precision::int8}) {
    if (wanted == name(precision) && !(training && precision == Precision::int8)) return precision;
  }
  fail("precision is ", wanted, ", expected ", training ? "f32 or bf16" : "f32, bf16 or int8");
}

}  // namespace inkling
