// Arrays for benchmarks. Their random numbers have ordinary sizes, so that no kernel meets denormals or
// overflow.
#pragma once

#include <memory>
#include <type_traits>

#include "core/bf16.h"
#include "core/memory.h"
#include "core/rng.h"

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
  std::shared_ptr<Pages> pages_;  // shared, because benchmarks copy the functions that they time
};
using Floats = Numbers<float>;
using Bf16s = Numbers<bf16>;

}  // namespace inkling::bench
