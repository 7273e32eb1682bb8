// Where ranks run: the default number of threads, and what a run says about it.
#include "apps/ranks/placement.h"

#include "core/error.h"
#include "tests/core/ranks/thread_ranks.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

RankPlace place(const std::string& host, int machine_cpus, std::vector<int> cpus, int threads) {
  return {host, machine_cpus, std::move(cpus), threads};
}

TEST_CASE("placement: ranks divide the CPUs that several of them may use") {
  const std::vector<int> all = {0, 1, 2, 3, 4, 5, 6, 7};
  // Three ranks may use all eight CPUs of host a. Each rank of host b is bound to a CPU of its own.
  const std::vector<RankPlace> places = {place("a", 8, all, 1), place("a", 8, all, 1), place("a", 8, all, 1),
                                         place("b", 8, {0}, 1), place("b", 8, {1}, 1)};
  CHECK(fair_threads(places, 0) == 2);
  CHECK(fair_threads(places, 2) == 2);
  CHECK(fair_threads(places, 3) == 1);
  // More ranks than CPUs: still one thread.
  CHECK(fair_threads({place("a", 2, {0}, 1), place("a", 2, {0}, 1)}, 1) == 1);
  // Three ranks on three CPUs have a whole CPU each, although 1/3 is not exact.
  CHECK(fair_threads({place("a", 3, {0, 1, 2}, 1), place("a", 3, {0, 1, 2}, 1), place("a", 3, {0, 1, 2}, 1)},
                     2) == 1);
}

TEST_CASE("placement: the text counts ranks, threads and CPUs of each host") {
  CHECK(placement_text({place("a", 8, {0, 1}, 2), place("a", 8, {2, 3}, 2), place("b", 1, {0}, 1)}) ==
        "host a: 2 ranks x 2 threads, each on 2 of 8 CPUs; host b: 1 rank x 1 thread, on 1 of 1 CPU");
  CHECK(placement_text({place("a", 8, {0}, 1), place("a", 8, {2, 3, 4}, 3)}) ==
        "host a: 2 ranks x 1 to 3 threads, each on 1 to 3 of 8 CPUs");
}

TEST_CASE("placement: unused CPUs and too many threads are faults, with the flag that mends them") {
  CHECK(placement_faults({place("a", 2, {0}, 1), place("a", 2, {1}, 1)}).empty());
  const std::vector<std::string> unused = placement_faults({place("a", 8, {0}, 1), place("a", 8, {1}, 1)});
  REQUIRE(unused.size() == 1);
  CHECK_THAT(unused[0], contains("host a: no rank may use 6 of its 8 CPUs") && contains("--bind-to none"));
  const std::vector<std::string> crowded =
      placement_faults({place("a", 2, {0, 1}, 2), place("a", 2, {0, 1}, 2)});
  REQUIRE(crowded.size() == 1);
  CHECK_THAT(crowded[0], contains("4 threads of 2 ranks share 2 CPUs"));
}

TEST_CASE("placement: all ranks know the places of all, and measure the same bandwidth") {
  std::vector<double> measured(3);
  std::atomic<int> right = 0;
  on_ranks(3, [&](Ranks& ranks) {
    const std::vector<RankPlace> places = places_of_all(ranks, ranks.rank() + 1);
    right +=
        places.size() == 3 && places[2].host == "host2" && places[2].threads == 3 && !places[0].cpus.empty();
    measured[static_cast<std::size_t>(ranks.rank())] = measured_bandwidth(ranks);
  });
  CHECK(right == 3);
  CHECK(measured[0] > 0);
  CHECK(measured == std::vector<double>(3, measured[0]));
}

}  // namespace
}  // namespace inkling
