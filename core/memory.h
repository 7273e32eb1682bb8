// Memory for tensors: pages from the operating system, an arena on top of them, and scratch for kernels.
//
// In the steady state of training nothing here asks the system for memory: an Arena keeps its pages when it
// is reset, a Workspace goes back to a pool, a thread keeps its scratch. page_allocations() counts what was
// asked of the system, so a test can hold us to that.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace inkling {

// A zero-filled, page-aligned region. Untouched pages cost no memory. Large regions ask for huge pages, which
// makes the first touch about three times as fast. Move-only.
class Pages {
 public:
  Pages() = default;
  explicit Pages(std::size_t size_bytes);  // Error when the system has no more address space
  ~Pages();
  Pages(Pages&& other) noexcept;
  Pages& operator=(Pages&& other) noexcept;
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  std::byte* data() const { return data_; }
  std::size_t size_bytes() const { return size_bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

// How many Pages were ever made.
std::int64_t page_allocations();

// A stack of allocations that are given back together, by reset() or back to a mark(). Not thread-safe.
class Arena {
 public:
  static constexpr std::size_t kAlignment = 64;  // a cache line, and an AVX-512 register

  struct Mark {
    std::size_t slab = 0;
    std::size_t offset = 0;
  };

  void* allocate(std::size_t size_bytes);
  Mark mark() const { return top_; }
  void rewind(Mark mark);
  void reset() { rewind(Mark{}); }

  std::size_t used_bytes() const;  // the sum of live allocations, with padding
  std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  std::vector<Pages> slabs_;
  Mark top_;
  std::size_t peak_bytes_ = 0;
};

// Scratch memory of one running op, e.g. the packed activations of a gemm; returned to a shared pool at
// scope's end. Thread-safe.
class Workspace {
 public:
  // Pages, and how many of their bytes were ever used: what they cost, as untouched pages cost nothing.
  struct Block {
    Pages pages;
    std::size_t used_bytes = 0;
  };

  explicit Workspace(std::size_t size_bytes);
  ~Workspace();
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;

  float* floats() const { return reinterpret_cast<float*>(block_.pages.data()); }
  std::byte* bytes() const { return block_.pages.data(); }

 private:
  Block block_;
};

// What all workspaces together have ever used of their pages, and so hold.
std::int64_t workspace_bytes();
// Gives the pages of those not in use back to the system.
void release_workspaces();

// Scratch memory of the calling thread, at least `size_bytes` long, 64-byte aligned, contents undefined.
// Valid until the thread's next call: only for a leaf task, which neither waits for other tasks nor calls
// what may want scratch too.
void* thread_scratch(std::size_t size_bytes);

}  // namespace inkling
