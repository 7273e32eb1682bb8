// The face of bench/peers/onednn.cc, a small library of its own: it is built where oneDNN's headers are, and
// opened at run time, so that inkling_bench needs neither.
#pragma once

#include <cstdint>

extern "C" {

// C (M,N) = op(A) op(B), row-major; a transposed operand is stored as its transpose.
struct OneDnnMatmul {
  std::int64_t M, N, K;
  bool transpose_a, transpose_b;
  bool bf16;    // A and B, else f32
  bool c_bf16;  // C, else f32
  bool pack_b;  // B is a weight: it may be laid out anew beforehand, once
  const void* a;
  const void* b;
  void* c;
};

const char* onednn_version();  // "oneDNN 2.6.3"
void* onednn_prepare(
    const OneDnnMatmul* matmul);  // the fastest of the ways the library offers; nullptr: none works
void onednn_run(void* prepared);
void onednn_free(void* prepared);
}
