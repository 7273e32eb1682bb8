// A ladder of matrix products: C = A B, from three plain loops to the engine's own kernel. Each rung adds one
// idea.
//
//   A (M,K), B (K,N), C (M,N), all f32 and row-major. A product needs 2 M N K operations: for each of the M N
//   numbers of C, K multiplications and K additions.
//
// The matrices have M K + K N + M N numbers, so each number is needed hundreds of times. A CPU core can do
// dozens of operations in the time in which one number comes from memory. So every rung is about the same
// question: how often is a number used while it is close, in the cache or in a register?
//
// Read the rungs in their order. main.cc measures them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace inkling::ladder {

struct Size {
  std::int64_t M, N, K;
};

// Each rung is a function of this type. It assigns C.
using Product = void(float* C, const float* A, const float* B, const Size& size);

Product naive;        // 1: three loops
Product blocked;      // 2: the loops in an order, and in blocks, that suit the cache
Product packed;       // 3: copies in the order of reading, and sums in registers
Product vectorised;   // 4: a register holds 4 to 16 numbers
Product threaded;     // 5: all cores
Product engine;       // 6: the engine's kernel in f32
Product engine_bf16;  // 7: the engine's kernel in bf16, with AMX where the CPU has it

struct Rung {
  std::string name, idea;
  Product* run;
  bool is_bf16 = false;  // its numbers have 8 bits of precision, and its peak is another one
};
std::vector<Rung> rungs();

}  // namespace inkling::ladder
