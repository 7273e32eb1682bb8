// Tells AddressSanitizer which mapped memory is in use, so that it reports an access to the rest.
//
// AddressSanitizer knows the blocks of malloc, but it takes all memory from mmap as in use. So core/memory.cc
// forbids the memory behind the end of each block, and memory that was freed and not yet given out again. In
// all other builds these functions do nothing.
#pragma once

#include <cstddef>
#include <cstring>

#if defined(__SANITIZE_ADDRESS__)
#define INKLING_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define INKLING_POISONS 1
#endif
#endif

#if defined(INKLING_POISONS)
#include <sanitizer/asan_interface.h>
#endif

namespace inkling {

#if defined(INKLING_POISONS)

// How many bytes behind a block are forbidden.
inline constexpr std::size_t kFence = 4096;

inline void forbid(const void* begin, std::size_t size_bytes) {
  __asan_poison_memory_region(begin, size_bytes);
}
// AddressSanitizer keeps one byte for eight bytes of memory. So this writes only where something is
// forbidden, and memory that nobody touches costs nothing.
inline void allow(const void* begin, std::size_t size_bytes) {
  constexpr std::size_t kPart = std::size_t{1} << 20;
  for (std::size_t at = 0; at < size_bytes; at += kPart) {
    char* part = static_cast<char*>(const_cast<void*>(begin)) + at;
    const std::size_t part_bytes = size_bytes - at < kPart ? size_bytes - at : kPart;
    if (__asan_region_is_poisoned(part, part_bytes) != nullptr)
      __asan_unpoison_memory_region(part, part_bytes);
  }
}

#else

inline constexpr std::size_t kFence = 0;

inline void forbid(const void*, std::size_t) {}
inline void allow(const void*, std::size_t) {}

#endif

// Copies `size_bytes` from freed memory at `from` to memory in use at `to`, which is at or below `from`. The
// two may overlap.
inline void move_down(void* to, const void* from, std::size_t size_bytes) {
  allow(from, size_bytes);
  std::memmove(to, from, size_bytes);
  forbid(from, size_bytes);
  allow(to, size_bytes);
}

}  // namespace inkling
