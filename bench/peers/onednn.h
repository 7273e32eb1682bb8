// The interface of bench/peers/onednn.cc, a small separate library. It is built only where oneDNN's headers
// are installed, and opened at run time, so inkling_bench needs neither.
#pragma once

#include <cstdint>

extern "C" {

// C (M,N) = op(A) op(B), row-major; a transposed operand is stored as its transpose.
struct OneDnnMatmul {
  std::int64_t M, N, K;
  bool transpose_a, transpose_b;
  bool bf16;    // A and B are bf16, otherwise f32
  bool c_bf16;  // C is bf16, otherwise f32
  bool pack_b;  // B is a weight, which may be packed once in advance
  const void* a;
  const void* b;
  void* c;
};

const char* onednn_version();  // "oneDNN 2.6.3"
void* onednn_prepare(
    const OneDnnMatmul* matmul);  // the fastest of the library's functions, or nullptr if none works
void onednn_run(void* prepared);
void onednn_free(void* prepared);
}
