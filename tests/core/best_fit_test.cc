// Reuse of memory: the block that a workspace takes from the pool, and slabs that an arena fills completely.
#include "core/memory.h"

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Makes workspaces of 1,000, 5,000 and 9,000 bytes in the given order and frees them. Returns the addresses
// of their three blocks, sorted by size.
std::vector<std::byte*> three_blocks(const std::vector<std::size_t>& order) {
  release_workspaces();
  std::vector<std::byte*> begins(3);
  const auto place = [&](std::size_t size, std::byte* begin) { begins[size / 4000] = begin; };
  const Workspace a(order[0]), b(order[1]), c(order[2]);
  place(order[0], a.bytes()), place(order[1], b.bytes()), place(order[2], c.bytes());
  return begins;
}

TEST_CASE(
    "memory: a workspace takes the smallest free block that is large enough, or the largest one grows") {
  for (const std::vector<std::size_t>& order : {std::vector<std::size_t>{1000, 5000, 9000},
                                                {9000, 5000, 1000},
                                                {5000, 9000, 1000},
                                                {5000, 1000, 9000}}) {
    const auto takes = [&](std::size_t size, std::size_t block, std::int64_t all_bytes) {
      INFO("a workspace of " << size);
      const std::vector<std::byte*> begins = three_blocks(order);
      CHECK(workspace_bytes() == 15000);
      const std::int64_t pages = page_allocations();
      const Workspace taken(size);
      CHECK(taken.bytes() == begins[block]);
      CHECK(workspace_bytes() == all_bytes);
      CHECK(page_allocations() == pages);
    };
    takes(1, 0, 15000);
    takes(1000, 0, 15000);
    takes(1001, 1, 15000);
    takes(5000, 1, 15000);
    takes(5001, 2, 15000);
    takes(9000, 2, 15000);
    takes(9001, 2, 15001);
  }
  release_workspaces();
}

TEST_CASE("memory: a workspace has the requested size, and large and small workspaces are reused") {
  release_workspaces();
  // kLarge is larger than the minimum size of a block, kSmall is smaller.
  constexpr std::size_t kLarge = std::size_t{300} << 20, kSmall = 1000;
  { const Workspace small(kSmall); }
  const std::int64_t pages = page_allocations();
  {
    const Workspace large(kLarge);
    CHECK(page_allocations() == pages + 1);
    large.bytes()[kLarge - 1] = std::byte{1};
  }
  CHECK(workspace_bytes() == static_cast<std::int64_t>(kLarge + kSmall));
  { const Workspace large(kLarge); }
  { const Workspace small(kSmall); }
  CHECK(page_allocations() == pages + 1);
  release_workspaces();
  CHECK(workspace_bytes() == 0);
}

TEST_CASE("memory: pages are rounded up to whole pages, at least one; moved-from pages are empty") {
  CHECK(Pages(0).size_bytes() == 4096);
  CHECK(Pages(4096).size_bytes() == 4096);
  CHECK(Pages(4097).size_bytes() == 8192);
  Pages from(10), to(std::move(from));
  CHECK(from.data() == nullptr);
  CHECK(from.size_bytes() == 0);
  CHECK(Pages().data() == nullptr);
}

TEST_CASE("memory: an arena fills its slab to the last byte before it asks for another") {
  constexpr std::size_t kSlab = std::size_t{1} << 30, kLine = Arena::kAlignment;
  Arena arena;
  const std::int64_t pages = page_allocations();
  auto* first = static_cast<std::byte*>(arena.allocate(kSlab - kLine));
  CHECK(arena.allocate(kLine) == first + (kSlab - kLine));
  CHECK(page_allocations() == pages + 1);
  CHECK(arena.used_bytes() == kSlab);
  arena.allocate(1);
  CHECK(page_allocations() == pages + 2);
  CHECK(arena.used_bytes() == kSlab + kLine);
  arena.reset();
  CHECK(arena.peak_bytes() == kSlab + kLine);
  CHECK(arena.allocate(1) == first);
  CHECK(arena.peak_bytes() == kSlab + kLine);
}

}  // namespace
}  // namespace inkling
