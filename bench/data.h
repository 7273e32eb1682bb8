// Arrays for benchmarks: random numbers of ordinary size, so that no kernel meets denormals or overflow.
#pragma once

#include <memory>

#include "core/memory.h"
#include "core/rng.h"
#include "ops/kernels.h"

namespace inkling::bench {

class Floats {
 public:
  explicit Floats(std::int64_t n, std::uint64_t seed = 1, float scale = 0.1f)
      : pages_(std::make_shared<Pages>(static_cast<std::size_t>(n) * sizeof(float))) {
    Rng rng(seed);
    for (std::int64_t i = 0; i < n; ++i) data()[i] = scale * static_cast<float>(2 * rng.uniform() - 1);
  }
  float* data() const { return reinterpret_cast<float*>(pages_->data()); }

 private:
  std::shared_ptr<Pages> pages_;  // shared: benchmarks copy what they time
};

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
