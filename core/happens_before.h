// Tells ThreadSanitizer in which order oneTBB runs tasks. ThreadSanitizer cannot see this order itself,
// because libtbb is not compiled with ThreadSanitizer. Neither is parallel.cc, the only file that calls TBB
// (see the Makefile); it calls the functions in this file to say how work passes from one thread to another.
// In all other builds these functions do nothing.
//
// Everything that a thread does before published(tag) happens before everything that another thread does
// after observed(tag).
#pragma once

#include <array>
#include <cstdint>

#if defined(INKLING_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace inkling {

#if defined(INKLING_TSAN)

inline void published(void* tag) {
  __tsan_release(tag);
}
inline void observed(void* tag) {
  __tsan_acquire(tag);
}
// The ThreadSanitizer tag of task i. Different tasks have different tags (except that tasks i and i + 4096
// share a tag), so that the order of one task does not hide a race of another task.
inline void* tag_of_task(std::int32_t i) {
  static std::array<std::int64_t, 4096> tags;
  return &tags[static_cast<std::size_t>(i) % tags.size()];
}

#else

inline void published(void*) {}
inline void observed(void*) {}
inline void* tag_of_task(std::int32_t) {
  return nullptr;
}

#endif

// Handed: the scope of work that a thread does for another thread. The work starts after everything that was
// published under the tag `before`. The end of the scope, also by an exception, is published under the tag
// `after`.
class Handed {
 public:
  Handed(void* before, void* after) : after_(after) { observed(before); }
  ~Handed() { published(after_); }
  Handed(const Handed&) = delete;
  Handed& operator=(const Handed&) = delete;

 private:
  void* after_;
};

}  // namespace inkling
