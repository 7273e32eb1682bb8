#include "apps/ranks/placement.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>

#include "core/error.h"
#include "core/ranks/collectives.h"

namespace inkling {

namespace {

std::vector<int> numbers_in(const cpu_set_t& set) {
  std::vector<int> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::string counted(std::size_t count, const std::string& what) {
  return str(count, " ", what, count == 1 ? "" : "s");
}

// "4" or "1 to 4".
std::string span_of(const std::set<std::size_t>& numbers) {
  return numbers.size() == 1 ? str(*numbers.begin()) : str(*numbers.begin(), " to ", *numbers.rbegin());
}

struct Host {
  std::string name;
  int machine_cpus = 1;
  std::size_t ranks = 0, threads = 0;
  std::set<int> cpus;
  std::set<std::size_t> cpus_of_a_rank, threads_of_a_rank;
};

// The hosts, in the order of their first ranks.
std::vector<Host> hosts_of(const std::vector<RankPlace>& places) {
  std::vector<Host> hosts;
  for (const RankPlace& place : places) {
    auto host = std::find_if(hosts.begin(), hosts.end(), [&](const Host& h) { return h.name == place.host; });
    if (host == hosts.end()) {
      host = hosts.insert(hosts.end(), Host{});
      host->name = place.host;
    }
    host->machine_cpus = place.machine_cpus;
    ++host->ranks;
    host->threads += static_cast<std::size_t>(place.threads);
    host->cpus.insert(place.cpus.begin(), place.cpus.end());
    host->cpus_of_a_rank.insert(place.cpus.size());
    host->threads_of_a_rank.insert(static_cast<std::size_t>(place.threads));
  }
  return hosts;
}

}  // namespace

std::vector<RankPlace> places_of_all(Ranks& ranks, int threads) {
  struct Numbers {
    int machine_cpus, threads;
    cpu_set_t cpus;
  } mine{static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)), threads, {}};
  CPU_ZERO(&mine.cpus);
  sched_getaffinity(0, sizeof mine.cpus, &mine.cpus);
  const std::vector<Numbers> all = gather(ranks, mine);
  const std::vector<std::string> hosts = gather_texts(ranks, ranks.host());
  std::vector<RankPlace> places;
  for (std::size_t rank = 0; rank < all.size(); ++rank)
    places.push_back({hosts[rank], all[rank].machine_cpus, numbers_in(all[rank].cpus), all[rank].threads});
  return places;
}

int fair_threads(const std::vector<RankPlace>& places, int rank) {
  const RankPlace& mine = places[static_cast<std::size_t>(rank)];
  std::map<int, int> users;  // the number of ranks of this machine that may use a CPU
  for (const RankPlace& place : places) {
    if (place.host != mine.host) continue;
    for (const int cpu : place.cpus) ++users[cpu];
  }
  double share = 0;
  for (const int cpu : mine.cpus) share += 1.0 / users[cpu];
  constexpr double kRounding = 1e-9;  // three thirds of a CPU are one CPU
  return std::max(1, static_cast<int>(share + kRounding));
}

std::string placement_text(const std::vector<RankPlace>& places) {
  std::string text;
  for (const Host& host : hosts_of(places)) {
    text += str(text.empty() ? "" : "; ", "host ", host.name, ": ", counted(host.ranks, "rank"), " x ",
                span_of(host.threads_of_a_rank),
                host.threads_of_a_rank == std::set<std::size_t>{1} ? " thread" : " threads",
                host.ranks == 1 ? ", on " : ", each on ", span_of(host.cpus_of_a_rank), " of ",
                counted(static_cast<std::size_t>(host.machine_cpus), "CPU"));
  }
  return text;
}

std::vector<std::string> placement_faults(const std::vector<RankPlace>& places) {
  std::vector<std::string> faults;
  for (const Host& host : hosts_of(places)) {
    const std::size_t unused = static_cast<std::size_t>(host.machine_cpus) - host.cpus.size();
    if (unused > 0 && *host.cpus_of_a_rank.rbegin() <= 2) {
      faults.push_back(
          str("host ", host.name, ": no rank may use ", unused, " of its ",
              counted(static_cast<std::size_t>(host.machine_cpus), "CPU"),
              ". Open MPI binds a process to one core; mpirun --bind-to none lets it use all of them"));
    }
    if (host.threads > host.cpus.size()) {
      faults.push_back(str("host ", host.name, ": ", counted(host.threads, "thread"), " of ",
                           counted(host.ranks, "rank"), " share ", counted(host.cpus.size(), "CPU"),
                           ", so they slow each other down; fewer ranks or a smaller --threads is faster"));
    }
  }
  return faults;
}

double measured_bandwidth(Ranks& ranks) {
  if (ranks.size() == 1) return 0;
  constexpr std::size_t kMessage = std::size_t{1} << 20;
  constexpr int kMessages = 16, kTimes = 2;
  const int next = (ranks.rank() + 1) % ranks.size(),
            before = (ranks.rank() + ranks.size() - 1) % ranks.size();
  std::vector<std::byte> sent(kMessage), received(kMessage);
  double best = 0;
  for (int time = 0; time < kTimes; ++time) {
    any(ranks, false);  // all ranks start together
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kMessages; ++i) {
      const Ranks::Transfer in = ranks.start_receive(before, received), out = ranks.start_send(next, sent);
      ranks.wait(in);
      ranks.wait(out);
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(kMessages) * static_cast<double>(kMessage) / took.count());
  }
  const std::vector<double> all = gather(ranks, best);
  return *std::min_element(all.begin(), all.end());
}

}  // namespace inkling
