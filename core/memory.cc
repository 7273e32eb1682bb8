#include "core/memory.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "core/parallel.h"
#include "core/poison.h"

namespace inkling {

namespace {

constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
// An arena grows by at least this many bytes. AddressSanitizer looks at all of them when an arena is
// destroyed.
constexpr std::size_t kSlab = std::size_t{1} << (kFence > 0 ? 26 : 30);
constexpr std::size_t kWorkspace = std::size_t{256} << 20;  // a workspace reserves at least this many bytes
constexpr std::size_t kScratch = std::size_t{64} << 20;     // a thread reserves at least this many bytes

std::atomic<std::int64_t> page_allocation_count{0};

std::size_t round_up(std::size_t n, std::size_t unit) {
  return (n + unit - 1) / unit * unit;
}

// The bytes of address space that this process may use (ulimit -v); 0: no limit.
std::size_t address_space_limit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) return 0;
  return limit.rlim_cur;
}

// Returns the number of bytes to reserve if `size_bytes` are needed now and more will be needed later. This
// is normally `usual`, because pages that are not touched cost no memory. If the address space is limited,
// reserved pages count against the limit, so the result is at most a 32nd part of the limit.
std::size_t reservation(std::size_t size_bytes, std::size_t usual) {
  constexpr std::size_t kPart = 32;
  const std::size_t limit = address_space_limit();
  return std::max(size_bytes, limit == 0 ? usual : std::min(usual, round_up(limit / kPart, kPage)));
}

[[noreturn]] void fail_to_map(std::size_t size_bytes) {
  const std::size_t limit = address_space_limit();
  fail("out of memory: cannot map ", size_bytes, " bytes",
       limit == 0 ? "" : str(" within the limit of ", limit, " bytes of address space (ulimit -v)"),
       "; a smaller --batch-size or --seq-len, or --recompute, needs less");
}

// Tells AddressSanitizer that the first bytes of a region may be used, and the bytes behind them may not.
void use_first(std::byte* region, std::size_t size_bytes) {
  allow(region, size_bytes);
  forbid(region + size_bytes, kFence);
}

}  // namespace

std::int64_t page_allocations() {
  return page_allocation_count.load();
}

Pages::Pages(std::size_t size_bytes) : size_bytes_(round_up(std::max<std::size_t>(size_bytes, 1), kPage)) {
  void* p = mmap(nullptr, size_bytes_ + kFence, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) fail_to_map(size_bytes_);
  if (size_bytes_ >= kHugePage)
    madvise(p, size_bytes_, MADV_HUGEPAGE);  // this is only advice: if it fails, the memory is slower
  data_ = static_cast<std::byte*>(p);
  forbid(data_ + size_bytes, size_bytes_ + kFence - size_bytes);
  ++page_allocation_count;
}

Pages::~Pages() {
  if (data_ == nullptr) return;
  allow(data_, size_bytes_ + kFence);  // the system may give these addresses out again
  munmap(data_, size_bytes_ + kFence);
}

Pages::Pages(Pages&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

Pages& Pages::operator=(Pages&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

void* Arena::allocate(std::size_t size_bytes) {
  const std::size_t padded = round_up(std::max<std::size_t>(size_bytes, 1), kAlignment);
  while (top_.slab < slabs_.size() && top_.offset + padded > slabs_[top_.slab].size_bytes()) {
    top_ = {top_.slab + 1, 0};  // the rest of this slab stays unused until the next rewind
  }
  if (top_.slab == slabs_.size()) slabs_.emplace_back(reservation(padded, kSlab));
  std::byte* p = slabs_[top_.slab].data() + top_.offset;
  top_.offset += padded;
  use_first(p, size_bytes);
  peak_bytes_ = std::max(peak_bytes_, used_bytes());
  return p;
}

void Arena::rewind(Mark mark) {
  for (std::size_t i = mark.slab; i < slabs_.size() && i <= top_.slab; ++i) {
    const std::size_t begin = i == mark.slab ? mark.offset : 0;
    const std::size_t end = i == top_.slab ? top_.offset : slabs_[i].size_bytes();
    // AddressSanitizer would write an eighth of the region's size, and a rehearsal covers more memory than
    // there is.
    if (!Rehearsal::active()) forbid(slabs_[i].data() + begin, end - begin);
  }
  top_ = mark;
}

std::size_t Arena::used_bytes() const {
  std::size_t used = top_.offset;
  for (std::size_t i = 0; i < top_.slab; ++i) used += slabs_[i].size_bytes();
  return used;
}

namespace {

struct WorkspacePool {
  std::mutex mutex;
  std::vector<Workspace::Block> free;
  std::size_t used_bytes = 0;  // the sum over all blocks, free or in use
  std::size_t blocks = 0;      // how many blocks there are, free or in use
};

WorkspacePool& workspace_pool() {
  static WorkspacePool pool;
  return pool;
}

// Chooses a free block for a workspace. If some blocks have enough used pages, it chooses the block with the
// fewest used pages among them, so that larger blocks stay free for larger requests. If no block has enough
// used pages, it chooses the block with the most used pages, because it needs the fewest new pages. Returns
// blocks.end() if no block is large enough.
std::vector<Workspace::Block>::iterator best_block(std::vector<Workspace::Block>& blocks,
                                                   std::size_t size_bytes) {
  auto best = blocks.end();
  for (auto block = blocks.begin(); block != blocks.end(); ++block) {
    if (block->pages.size_bytes() < size_bytes) continue;
    const auto enough = [&](const auto& b) { return b->used_bytes >= size_bytes; };
    if (best == blocks.end() || (enough(block) && (!enough(best) || block->used_bytes < best->used_bytes)) ||
        (!enough(block) && !enough(best) && block->used_bytes > best->used_bytes)) {
      best = block;
    }
  }
  return best;
}

}  // namespace

Workspace::Workspace(std::size_t size_bytes) {
  WorkspacePool& pool = workspace_pool();
  const std::lock_guard<std::mutex> lock(pool.mutex);
  const auto block = best_block(pool.free, size_bytes);
  if (block == pool.free.end()) {
    block_.pages = Pages(reservation(size_bytes, kWorkspace));
    pool.free.reserve(pool.blocks + 1);  // now, so that the destructor needs no memory
    ++pool.blocks;
  } else {
    block_ = std::move(*block);
    std::swap(*block, pool.free.back());
    pool.free.pop_back();
  }
  if (block_.used_bytes < size_bytes)
    pool.used_bytes += size_bytes - std::exchange(block_.used_bytes, size_bytes);
  use_first(block_.pages.data(), size_bytes);
}

Workspace::~Workspace() {
  forbid(block_.pages.data(), block_.used_bytes);
  WorkspacePool& pool = workspace_pool();
  const std::lock_guard<std::mutex> lock(pool.mutex);
  pool.free.push_back(std::move(block_));  // cannot throw: the constructor has reserved the place
}

std::int64_t workspace_bytes() {
  WorkspacePool& pool = workspace_pool();
  const std::lock_guard<std::mutex> lock(pool.mutex);
  return static_cast<std::int64_t>(pool.used_bytes);
}

void release_workspaces() {
  WorkspacePool& pool = workspace_pool();
  const std::lock_guard<std::mutex> lock(pool.mutex);
  for (const Workspace::Block& block : pool.free) pool.used_bytes -= block.used_bytes;
  pool.blocks -= pool.free.size();
  pool.free.clear();
}

void* thread_scratch(std::size_t size_bytes) {
  thread_local Pages pages;
  thread_local std::size_t used_bytes = 0;
  if (pages.size_bytes() < size_bytes) pages = Pages(reservation(size_bytes, kScratch));
  if (used_bytes > size_bytes) forbid(pages.data(), used_bytes);
  use_first(pages.data(), size_bytes);
  used_bytes = size_bytes;
  return pages.data();
}

}  // namespace inkling
