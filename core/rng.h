// Streams of random numbers that can be saved and restored.
//
// xoshiro256** (Blackman & Vigna, "Scrambled linear pseudorandom number generators", 2021), seeded through
// splitmix64. Each purpose (initialisation, sampling, stories) has its own stream, named by a number, so that
// drawing from one stream never changes another. A seed gives the same numbers on every machine: next(),
// uniform() and below() use integer arithmetic and exact scaling, and normal() takes its logarithm and cosine
// from core/portable_math.h, not from the C library.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "core/portable_math.h"

namespace inkling {

class Rng {
 public:
  using State = std::array<std::uint64_t, 4>;

  explicit Rng(std::uint64_t seed, std::uint64_t stream = 0) {
    std::uint64_t x = seed ^ (stream * 0xd1342543de82ef95ull + 0x2545f4914f6cdd1dull);
    for (std::uint64_t& s : state_) s = splitmix64(x);
  }

  std::uint64_t next() {
    const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Returns a uniform random number in [0, 1) with 53 random bits.
  double uniform() { return static_cast<double>(next() >> 11) * 0x1p-53; }

  // Returns a uniform random integer in [0, n), where n > 0. It has no bias: if 2^64 is not a multiple of n,
  // a few of the 2^64 values are rejected and drawn again.
  std::uint64_t below(std::uint64_t n) {
    const std::uint64_t reject_under = (0 - n) % n;
    std::uint64_t x = next();
    while (x < reject_under) x = next();
    return x % n;
  }

  // Returns a standard normal number, by the formula of Box & Muller (1958) with the cosine. Each call draws
  // two uniform numbers. The second normal number (with the sine) is not used, so the four numbers of State
  // are the whole state of the stream.
  double normal() {
    const double radius = std::sqrt(-2.0 * portable::log(1.0 - uniform()));
    return radius * portable::cos_pi(2.0 * uniform());
  }

  const State& state() const { return state_; }
  void set_state(const State& state) { state_ = state; }

 private:
  static std::uint64_t splitmix64(std::uint64_t& x) {
    std::uint64_t z = (x += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }

  State state_{};
};

}  // namespace inkling
