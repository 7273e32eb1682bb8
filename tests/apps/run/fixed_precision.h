// Instead of a measurement (apps/run/probe.h), whose result would depend on the machine: f32.
#pragma once

#include "apps/run/probe.h"

namespace inkling::test {

inline PrecisionChoice f32_is_faster(const PreflightRequest&) {
  return {Precision::f32, ""};
}

}  // namespace inkling::test
