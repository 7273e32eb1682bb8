// Floats next to a memory page that may be neither read nor written. A kernel that reads or writes past the
// floats on this side crashes at once, with or without a sanitizer.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "tests/catch.h"

namespace inkling::test {

enum class Fence { before, after };  // the side of the floats on which the page lies

class Fenced {
 public:
  Fenced(const std::vector<float>& values, Fence fence) : count_(values.size()) {
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t bytes = count_ * sizeof(float), inside = (bytes + page - 1) / page * page;
    size_bytes_ = inside + 2 * page;
    memory_ = mmap(nullptr, size_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory_ != MAP_FAILED);
    auto* begin = static_cast<std::byte*>(memory_) + page;
    REQUIRE(mprotect(begin, inside, PROT_READ | PROT_WRITE) == 0);
    data_ = reinterpret_cast<float*>(fence == Fence::before ? begin : begin + inside - bytes);
    std::copy(values.begin(), values.end(), data_);
  }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;
  ~Fenced() { munmap(memory_, size_bytes_); }

  float* data() { return data_; }
  std::span<const float> values() const { return {data_, count_}; }

 private:
  std::size_t count_, size_bytes_ = 0;
  void* memory_ = nullptr;
  float* data_ = nullptr;
};

}  // namespace inkling::test
