// What we compare ourselves with, where it is installed, at its best settings. Nothing links to any of it.
//
//   OpenBLAS  f32 products: cblas_sgemm, opened at run time
//   oneDNN    products in f32 and bf16: the faster of its matmul primitive and sgemm, opened through
//             bench/peers/onednn.cc. Operands lie as ours do; a bf16 weight is packed beforehand, as ours is.
//   PyTorch   training steps and generated tokens: bench/peers/torch_step.py, in a process that waits while
//   we compute
// All use as many threads as we do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/harness.h"
#include "nn/gpt2_config.h"
#include "nn/precision.h"

namespace inkling::bench {

// The interpreter to look for PyTorch in.
void use_python(const std::string& program);

// Of all peers that are here, with their versions: the columns of the table.
std::vector<std::string> peer_names();

// C (M,N) = op(A) op(B), row-major; a transposed operand is stored as its transpose.
struct Matmul {
  std::int64_t M, N, K;
  bool transpose_a, transpose_b;
  const void* a;
  const void* b;
  void* c;
  bool bf16 = false;         // A and B
  bool c_bf16 = false;       // C
  bool b_is_weight = false;  // may be laid out anew beforehand
};
std::vector<Peer> matmul_peers(const Matmul& matmul);

// What torch_step.py can do: "train" a step, or "generate" a token.
std::vector<Peer> torch_peers(const std::string& what, const GPT2Config& config, std::int64_t B,
                              std::int64_t T, Precision precision);

}  // namespace inkling::bench
