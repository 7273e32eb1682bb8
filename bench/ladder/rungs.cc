// The list of the rungs. A new rung is a file and a line here.
#include "bench/ladder/ladder.h"

namespace inkling::ladder {

std::vector<Rung> rungs() {
  return {{"naive", "three loops", naive},
          {"blocked", "an order that suits the cache", blocked},
          {"packed", "sums in registers, copies in the order of reading", packed},
          {"vectorised", "one instruction for a register of numbers", vectorised},
          {"threaded", "all cores", threaded},
          {"engine", "the kernel that trains: ops/gemm/gemm.h", engine},
          {"bf16", "16-bit numbers: ops/gemm/gemm_bf16.h", engine_bf16, true}};
}

}  // namespace inkling::ladder
