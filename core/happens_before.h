// Tells ThreadSanitizer how oneTBB orders what threads do. It cannot see that by itself, as libtbb is not
// compiled with it. parallel.cc, which alone calls TBB, is not either (see the Makefile), and says here how
// work passes from one thread to another. In any other build these functions do nothing.
//
// What a thread does before published(tag) happens before what another does after observed(tag).
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
// A tag of task i alone (nearly: of every 4096th), so that one task's order hides no race of another.
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

// The scope of what a thread does on behalf of another: it starts behind what was published under `before`
// and is published under `after`, be it by an exception.
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
