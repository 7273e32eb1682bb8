// Memory for tensors: pages from the operating system, an arena on top of them, and scratch for kernels.
//
// After the first steps of training, nothing here requests memory from the system any more: an Arena keeps
// its pages when it is reset, a Workspace returns to a pool, and a thread keeps its scratch memory.
// page_allocations() counts the requests, and a test checks the count. AddressSanitizer reports an access
// behind the end of a block, and to memory that was freed here (core/poison.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace inkling {

// Pages: a region of memory, filled with zeros and aligned to a page. Pages that are never touched cost no
// memory. Large regions use huge pages, which makes the first touch about three times as fast. Pages can be
// moved but not copied.
class Pages {
 public:
  Pages() = default;
  explicit Pages(std::size_t size_bytes);  // Error if the system has no more address space
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

// Returns the number of Pages objects that the program has allocated since its start.
std::int64_t page_allocations();

// An Arena is a stack of allocations. reset() frees all allocations; rewind() frees all allocations that were
// made after a mark(). Not thread-safe.
class Arena {
 public:
  static constexpr std::size_t kAlignment = 64;  // the size of a cache line and of an AVX-512 register

  struct Mark {
    std::size_t slab = 0;
    std::size_t offset = 0;
  };

  void* allocate(std::size_t size_bytes);
  Mark mark() const { return top_; }
  void rewind(Mark mark);
  void reset() { rewind(Mark{}); }

  std::size_t used_bytes() const;  // the sum of all current allocations, with padding
  std::size_t peak_bytes() const { return peak_bytes_; }

 private:
  std::vector<Pages> slabs_;
  Mark top_;
  std::size_t peak_bytes_ = 0;
};

// Scratch memory of one running op, for example the packed activations of a gemm. The destructor returns it
// to a shared pool; it needs no memory, so it cannot fail. Thread-safe.
class Workspace {
 public:
  // Pages, and how many of their bytes were ever used. Only the used bytes cost memory: untouched pages cost
  // nothing.
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

// The memory that all workspaces hold: the number of bytes of their pages that were ever used.
std::int64_t workspace_bytes();
// Returns to the system the pages of all workspaces that are not in use.
void release_workspaces();

// Temporary memory of the calling thread: at least `size_bytes`, aligned to 64 bytes, with undefined
// contents. It is valid until the thread's next call of thread_scratch(). So only a leaf task may use it: a
// task that does not wait for other tasks and calls no function that uses thread_scratch().
void* thread_scratch(std::size_t size_bytes);

}  // namespace inkling
