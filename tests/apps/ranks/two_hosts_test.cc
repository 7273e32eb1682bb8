// Runs on two hosts with a slow network between them: network namespaces of this machine (two_hosts.h).
#include "tests/apps/ranks/two_hosts.h"

#include "tests/apps/run/tiny_run.h"

namespace inkling {
namespace {

using namespace inkling::test;

// A model of 0.6 million weights, on two replicas.
std::vector<std::string> run_words(const std::string& out, int steps,
                                   const std::vector<std::string>& more = {}) {
  std::vector<std::string> words = twenty_steps(out);
  *(std::find(words.begin(), words.end(), "--steps") + 1) = str(steps);
  *(std::find(words.begin(), words.end(), "--channels") + 1) = "160";
  for (const char* word : {"--replicas", "2", "--threads", "1", "--val-every", "0", "--save-every", "10"})
    words.emplace_back(word);
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// The mean time of the steps after the first, in milliseconds.
double step_ms(const std::string& out) {
  std::ifstream file(out + "/metrics.jsonl");
  double total = 0, steps = 0;
  for (std::string line; std::getline(file, line);) {
    const auto metrics = nlohmann::json::parse(line);
    if (metrics.value("step", 0) > 1 && metrics.contains("ms")) total += metrics["ms"].get<double>(), ++steps;
  }
  return total / steps;
}

TEST_CASE("two hosts: a run over a slow network has the same bytes, and takes the time of its messages") {
  skip_without_mpi();
  constexpr int kMbits = 100;
  const TwoHosts hosts(kMbits);
  const TemporaryDirectory temporary;
  REQUIRE(run(run_words(temporary / "alone", 20)).status == 0);
  const Outcome outcome = hosts.run(run_words(temporary / "run", 20)).wait();
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK_THAT(outcome.err, contains("ranks: host hosta: 1 rank") && contains("; host hostb: 1 rank"));
  CHECK((read_text(temporary / "run/model.bin") == read_text(temporary / "alone/model.bin")));
  CHECK(timeless_metrics(temporary / "run") == timeless_metrics(temporary / "alone"));
  // A rank sends and receives 4 bytes for each weight at the same time: half of the gradients, and half of
  // the weights. The link lets through a burst before it limits.
  const double weights = static_cast<double>(std::filesystem::file_size(temporary / "run/model.bin")) / 4;
  const double least_ms = 4 * weights / (kMbits * 1e6 / 8) * 1000;
  CHECK(step_ms(temporary / "run") > 0.8 * least_ms);
}

TEST_CASE("two hosts: over a slow network, local steps are faster than steps of all ranks together") {
  skip_without_mpi();
  const TwoHosts hosts(100);
  const TemporaryDirectory temporary;
  REQUIRE(hosts.run(run_words(temporary / "together", 10)).wait().status == 0);
  REQUIRE(hosts.run(run_words(temporary / "local", 10, {"--local-steps", "5"})).wait().status == 0);
  CHECK(step_ms(temporary / "local") < 0.5 * step_ms(temporary / "together"));
}

TEST_CASE("two hosts: a host that vanishes from the network ends the run within 15 s, and is named") {
  skip_without_mpi();
  const TwoHosts hosts(1000);
  const TemporaryDirectory temporary;
  Process mpirun = hosts.run(run_words(temporary / "run", 1000000));
  mpirun.watch([&] { return std::filesystem::exists(temporary / "run/checkpoints/step_00000010"); });
  hosts.cut();
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = mpirun.wait();
  INFO(outcome.err);
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(15));
  CHECK(outcome.status != 0);
  // The message of mpirun names the host by its address, the message of rank 0 by its name.
  CHECK(count(outcome.err, "rank 1 on host hostb") + count(outcome.err, "on node 10.77.0.2") > 0);
}

}  // namespace
}  // namespace inkling
