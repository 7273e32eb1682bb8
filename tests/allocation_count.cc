#include "tests/allocation_count.h"

#include "core/memory.h"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define INKLING_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define INKLING_SANITIZED 1
#endif
#endif

namespace {

std::atomic<std::int64_t> count{0}, live{0};

}  // namespace

namespace inkling::test {

std::int64_t allocations() {
  return count.load();
}

std::int64_t live_bytes() {
  return live.load();
}

#if defined(INKLING_SANITIZED)
const bool kCountsAllocations = false;
#else
const bool kCountsAllocations = true;
#endif

bool reaches_steady_state(const std::function<void()>& step) {
  constexpr int kInARow = 20, kAttempts = 50;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const std::int64_t pages = page_allocations(), news = allocations();
    for (int i = 0; i < kInARow; ++i) step();
    if (page_allocations() == pages && allocations() == news) return true;
  }
  return false;
}

}  // namespace inkling::test

#if !defined(INKLING_SANITIZED)

namespace {

void* counted(void* p) {
  if (p == nullptr) throw std::bad_alloc();
  ++count;
  live += static_cast<std::int64_t>(malloc_usable_size(p));
  return p;
}

void give_back(void* p) noexcept {
  live -= static_cast<std::int64_t>(malloc_usable_size(p));  // subtracts 0 for nullptr
  std::free(p);
}

}  // namespace

// The standard library's other forms (arrays, nothrow) call these two.
void* operator new(std::size_t size) {
  return counted(std::malloc(size > 0 ? size : 1));
}

void* operator new(std::size_t size, std::align_val_t alignment) {
  const auto unit = static_cast<std::size_t>(alignment);
  return counted(std::aligned_alloc(unit, (size + unit - 1) / unit * unit));
}

void operator delete(void* p) noexcept {
  give_back(p);
}
void operator delete(void* p, std::size_t) noexcept {
  give_back(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  give_back(p);
}
void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  give_back(p);
}

#endif
