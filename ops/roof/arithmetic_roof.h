// The peak speed of this machine's arithmetic, measured quickly: a part of the roof (roof.h).
#pragma once

#include "ops/roof/roof.h"

namespace inkling {

// Measures only the arithmetic, once: about 10 ms for each loop, and no memory. The report of a training run
// measures it between two steps. triad_gbs and read_gbs are 0.
Roof arithmetic_roof();

}  // namespace inkling
