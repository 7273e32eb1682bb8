// The exchanges of all ranks, on threads instead of processes.
#include "core/ranks/collectives.h"

#include "tests/core/ranks/thread_ranks.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("collectives: every rank gets the elements of all ranks, in the order of the ranks") {
  for (const int size : {1, 2, 3, 5}) {
    // Rank r has 2r elements, so rank 0 has none.
    std::vector<std::int64_t> counts;
    std::vector<double> want;
    for (int rank = 0; rank < size; ++rank) {
      counts.push_back(2 * rank);
      for (int i = 0; i < 2 * rank; ++i) want.push_back(100.0 * rank + i);
    }
    std::atomic<int> right = 0;
    on_ranks(size, [&](Ranks& ranks) {
      std::vector<double> mine;
      for (int i = 0; i < 2 * ranks.rank(); ++i) mine.push_back(100.0 * ranks.rank() + i);
      right += gather<double>(ranks, mine, counts) == want;
    });
    CHECK(right == size);
  }
}

TEST_CASE("collectives: texts of different lengths, and an empty one, reach all ranks") {
  std::atomic<int> right = 0;
  on_ranks(3, [&](Ranks& ranks) {
    const std::vector<std::string> texts = {"first", "", "the third text"};
    right += gather_texts(ranks, texts[static_cast<std::size_t>(ranks.rank())]) == texts;
  });
  CHECK(right == 3);
}

TEST_CASE("collectives: a broadcast reaches all ranks, for lengths around a part of 4 MiB") {
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, (std::size_t{1} << 22) - 1,
                                   std::size_t{1} << 22, (std::size_t{1} << 23) + 5}) {
    std::string text(length, 'a');
    for (std::size_t i = 0; i < length; i += 1000) text[i] = static_cast<char>('a' + i % 26);
    std::atomic<int> right = 0;
    on_ranks(3,
             [&](Ranks& ranks) { right += broadcast_text(ranks, ranks.leads() ? text : "other") == text; });
    CHECK(right == 3);
  }
}

TEST_CASE("collectives: any() is true on all ranks if it is true on one of them") {
  for (const int one : {-1, 0, 2}) {
    std::atomic<int> yes = 0;
    on_ranks(3, [&](Ranks& ranks) { yes += any(ranks, ranks.rank() == one); });
    CHECK(yes == (one < 0 ? 0 : 3));
  }
}

TEST_CASE("collectives: a process without a launcher is the only rank") {
  const std::unique_ptr<Ranks> ranks = join_ranks();
  CHECK(ranks->rank() == 0);
  CHECK(ranks->size() == 1);
  CHECK(gather(*ranks, 7) == std::vector{7});
  CHECK_THROWS_WITH(ranks->start_send(1, {}), contains("there is only rank 0"));
}

}  // namespace
}  // namespace inkling
