// Other libraries that we compare with, where they are installed, with their best settings. Nothing here
// links to them.
//
//   OpenBLAS  f32 products: cblas_sgemm, opened at run time
//   oneDNN    products in f32 and bf16: the faster of its matmul primitive and sgemm, opened through
//             bench/peers/onednn.cc. Operands have the same layout as ours; a bf16 weight is packed in
//             advance, like ours.
//   PyTorch   training steps and generated tokens: bench/peers/torch_step.py, in a separate process that
//             sleeps while our code runs
//   tiktoken  token ids of a text, on one thread: bench/peers/tiktoken_encode.py, in a process of its own, too
// All others use the same number of threads as our code.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/harness.h"
#include "nn/gpt2_config.h"
#include "nn/precision.h"

namespace inkling::bench {

// The Python interpreter that may have PyTorch and tiktoken.
void use_python(const std::string& program);

// The names and versions of all installed peers: the columns of the table.
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
  bool b_is_weight = false;  // may be packed in advance
};
std::vector<Peer> matmul_peers(const Matmul& matmul);

// `what` is "train" for a training step, or "generate" for one token (bench/peers/torch_step.py).
std::vector<Peer> torch_peers(const std::string& what, const GPT2Config& config, std::int64_t B,
                              std::int64_t T, Precision precision);

// Encoding the files `texts`, one after another, with GPT-2's tokenizer in llm.c's file `tokenizer`.
std::vector<Peer> tiktoken_peers(const std::string& tokenizer, const std::vector<std::string>& texts);

}  // namespace inkling::bench
