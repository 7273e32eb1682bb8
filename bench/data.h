// Arrays for benchmarks: random numbers of ordinary size, so that no kernel meets denormals or overflow.
#pragma once

#include <memory>
#include <type_traits>

#include "core/bf16.h"
#include "core/memory.h"
#include "core/rng.h"
#include "ops/kernels.h"

namespace inkling::bench {

template <class T>  // float or bf16
class Numbers {
 public:
  explicit Numbers(std::int64_t n, std::uint64_t seed = 1, float scale = 0.1f)
      : pages_(std::make_shared<Pages>(static_cast<std::size_t>(n) * sizeof(T))) {
    Rng rng(seed);
    for (std::int64_t i = 0; i < n; ++i) {
      const float x = scale * static_cast<float>(2 * rng.uniform() - 1);
      if constexpr (std::is_same_v<T, bf16>) {
        data()[i] = to_bf16(x);
      } else {
        data()[i] = x;
      }
    }
  }
  T* data() const { return reinterpret_cast<T*>(pages_->data()); }

 private:
  std::shared_ptr<Pages> pages_;  // shared: benchmarks copy what they time
};
using Floats = Numbers<float>;

// The same, rounded to bf16.
class Bf16s {
 public:
  explicit Bf16s(std::int64_t n, std::uint64_t seed = 1, float scale = 0.1f)
      : pages_(std::make_shared<Pages>(static_cast<std::size_t>(n) * sizeof(bf16))) {
    kernels().narrow(data(), Floats(n, seed, scale).data(), n);
  }
  bf16* data() const { return reinterpret_cast<bf16*>(pages_->data()); }

 private:
  std::shared_ptr<Pages> pages_;
};

}  // namespace inkling::bench
