// Ranks that die in each phase of a run, and at random: all ranks end within 15 s with one message, the last
// checkpoint is whole, and the resumed run has the bytes of an undisturbed run.
//
// mpirun starts this test program. Its ranks run the hidden test case below, in which one rank ends itself.
#include <csignal>

#include "core/rng.h"
#include "tests/apps/ranks/mpirun.h"
#include "tests/apps/ranks/replicas.h"
#include "tests/faults/system_calls.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

constexpr const char* kVariable = "INKLING_TEST_DEATH";

// Which rank dies, when, and how.
struct Death {
  std::string phase;
  int rank = 0, signal = SIGKILL;
  std::string run;  // the run's directory
  json settings;
};

// Ten steps; checkpoints after steps 3, 6, 9 and 10.
TrainSettings ten_steps(const json& changes) {
  json all = {{"steps", 10}, {"val_every", 2}, {"sample_every", 0}, {"save_every", 3}};
  all.merge_patch(changes);
  return four_parts(all);
}

constexpr std::int64_t kDyingStep = 6, kDyingCheckpoint = 9;

// Counts the exchanges with large messages: gradients, weights, and the optimiser's state. From the moment
// when arm() is called, the rank dies in the exchange `number`, or in any exchange if that is 0.
class MortalRank final : public Ranks {
 public:
  MortalRank(std::unique_ptr<Ranks> ranks, int signal) : ranks_(std::move(ranks)), signal_(signal) {}

  void arm(int number) { number_ = number, large_exchanges_ = 0, was_large_ = false; }

  int rank() const override { return ranks_->rank(); }
  int size() const override { return ranks_->size(); }
  const std::string& host() const override { return ranks_->host(); }
  Transfer start_send(int to, std::span<const std::byte> message) override {
    on_message(message.size());
    return ranks_->start_send(to, message);
  }
  Transfer start_receive(int from, std::span<std::byte> message) override {
    on_message(message.size());
    return ranks_->start_receive(from, message);
  }
  void wait(Transfer transfer) override { ranks_->wait(transfer); }
  void abort(int status) override { ranks_->abort(status); }

 private:
  static constexpr int kNever = -1;
  static constexpr std::size_t kLarge = 1024;

  void on_message(std::size_t bytes) {
    const bool is_large = bytes >= kLarge;
    large_exchanges_ += is_large && !was_large_;
    was_large_ = is_large;
    if (number_ == 0 || (number_ != kNever && is_large && large_exchanges_ == number_)) raise(signal_);
  }

  std::unique_ptr<Ranks> ranks_;
  int signal_, number_ = kNever, large_exchanges_ = 0;
  bool was_large_ = false;
};

// The calls before which rank 0 dies while it saves the second checkpoint of the run.
bool is_fatal(const std::string& phase, const std::string& function, const std::string& path) {
  const auto opens = [&](const char* name) {
    return function.starts_with("open") && path.find(str(".unfinished/", name)) != path.npos;
  };
  if (phase == "model file") return opens("model.bin");
  if (phase == "optimiser file") return opens("optimizer.bin");
  if (phase == "manifest") return opens("manifest.json");
  if (phase == "rename") return function == "rename" && path.ends_with(".unfinished");
  return false;
}

TEST_CASE("mpirun: the rank that dies in the other tests of this file", "[.][mortal]") {
  if (std::getenv(kVariable) == nullptr) return;
  const json given = json::parse(std::getenv(kVariable));
  const std::string phase = given.at("phase");
  std::atomic<std::int64_t> step = 0;
  if (std::getenv("OMPI_COMM_WORLD_RANK") == std::to_string(given.at("rank").get<int>())) {
    before_each_path_call([&step, phase, signal = given.at("signal").get<int>()](const std::string& function,
                                                                                 const std::string& path) {
      if (step == kDyingCheckpoint && is_fatal(phase, function, path)) raise(signal);
    });
  }
  MortalRank ranks(join_ranks(), given.at("signal"));
  const bool dies = ranks.rank() == given.at("rank");
  if (dies && phase == "start") ranks.arm(0);
  set_threads(1);
  const TrainSettings settings = ten_steps(given.at("settings"));
  std::optional<RunDirectory> directory;
  if (ranks.leads()) directory.emplace(given.at("run").get<std::string>());
  Trainer trainer(settings, directory ? &*directory : nullptr, ranks);
  trainer.start();
  if (directory) directory->write_config(settings);
  trainer.run([&] {
    step = trainer.step();
    if (dies && step == kDyingStep - 1) {
      if (phase == "step") ranks.arm(0);
      if (phase == "reduce") ranks.arm(1);
      if (phase == "gather") ranks.arm(2);
    }
    if (dies && step == kDyingCheckpoint && phase == "state") ranks.arm(1);
    return false;
  });
}

// Runs three ranks of which one dies, checks how the others end, and returns what mpirun has printed.
std::string die(const Death& death) {
  setenv(kVariable,
         json{{"phase", death.phase},
              {"rank", death.rank},
              {"signal", death.signal},
              {"run", death.run},
              {"settings", death.settings}}
             .dump()
             .c_str(),
         1);
  Process mpirun = on_mpi(3, {"[mortal]"}, 60, std::filesystem::read_symlink("/proc/self/exe"));
  unsetenv(kVariable);
  const auto start = std::chrono::steady_clock::now();
  const Outcome outcome = mpirun.wait();
  INFO(outcome.out << outcome.err);
  // The time includes the start of the ranks and the steps before the death.
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(15));
  CHECK(outcome.status != 0);
  if (death.signal == SIGKILL) {
    CHECK(count(outcome.err, str("process rank ", death.rank, " with PID ")) == 1);
    CHECK(count(outcome.err, "exited on signal 9") == 1);
  } else {
    CHECK(count(outcome.err, str("inkling: rank ", death.rank, " on host ", host_name(),
                                 " has given no sign of life")) == 1);
  }
  return outcome.err;
}

void check_resumes(const Death& death, const std::string& whole) {
  std::int64_t last = 0;
  {
    RunDirectory directory(death.run);
    const auto checkpoint = directory.newest_checkpoint([](const std::string& what) { FAIL_CHECK(what); });
    REQUIRE(checkpoint);
    last = checkpoint->step;
  }
  const bool while_saving = death.phase != "step" && death.phase != "reduce" && death.phase != "gather";
  CHECK(last == (while_saving ? 6 : 3));
  const Outcome resumed = on_mpi(2, {"train", "--out", death.run, "--resume", "--threads", "1"}).wait();
  INFO(resumed.err);
  REQUIRE(resumed.status == 0);
  for (const char* file : {"model.bin", "checkpoints/step_00000010/manifest.json"})
    CHECK((read_text(death.run + "/" + file) == read_text(whole + "/" + file)));
  CHECK(timeless_metrics(death.run) == timeless_metrics(whole));
}

// A phase, and the rank that dies in it. Rank 0 alone writes files.
using Phases = std::vector<std::pair<const char*, int>>;

void check_phases(const json& settings, const Phases& phases) {
  const TemporaryDirectory temporary;
  train_on(1, temporary / "whole", ten_steps(settings));
  for (const auto& [phase, rank] : phases) {
    INFO(phase << ", rank " << rank << ", " << settings);
    const Death death{phase, rank, SIGKILL, temporary / str(phase, rank), settings};
    die(death);
    check_resumes(death, temporary / "whole");
  }
}

TEST_CASE("mpirun: a rank that is killed in any phase ends all ranks, and the run is resumed") {
  skip_without_mpi();
  check_phases(json::object(), {{"step", 2},
                                {"reduce", 1},
                                {"reduce", 0},
                                {"gather", 2},
                                {"state", 1},
                                {"model file", 0},
                                {"optimiser file", 0},
                                {"manifest", 0},
                                {"rename", 0}});
}

TEST_CASE("mpirun: with local steps, a rank killed in any phase ends all ranks, and the run is resumed") {
  skip_without_mpi();
  check_phases({{"local_steps", 2}},
               {{"step", 0}, {"reduce", 2}, {"gather", 1}, {"state", 0}, {"rename", 0}});
}

TEST_CASE("mpirun: a rank that is killed at the start ends all ranks, and leaves no run") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  for (const int rank : {0, 2}) {
    die({"start", rank, SIGKILL, temporary / "run", json::object()});
    CHECK_FALSE(RunDirectory::has_run(temporary / "run"));
  }
}

TEST_CASE("mpirun: a rank that runs out of memory ends all ranks, and the message names it") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  // 28 million weights: the weights, the gradient and the optimiser's state do not fit below the limit.
  const std::vector<std::string> train = {"train",
                                          "--out",
                                          temporary / "run",
                                          "--data",
                                          "tests/goldens/curve_tokens.bin",
                                          "--vocab-size",
                                          "131",
                                          "--layers",
                                          "4",
                                          "--heads",
                                          "4",
                                          "--channels",
                                          "768",
                                          "--batch-size",
                                          "2",
                                          "--seq-len",
                                          "64",
                                          "--steps",
                                          "1",
                                          "--threads",
                                          "1"};
  std::vector<std::string> words = train;
  const std::string limited = "ulimit -v 500000; exec \"$0\" \"$@\"";  // kilobytes
  words.insert(words.end(), {":", "-n", "1", "sh", "-c", limited, binary()});
  words.insert(words.end(), train.begin(), train.end());
  const Outcome outcome = on_mpi(1, words).wait();
  INFO(outcome.err);
  CHECK(outcome.status == 1);
  CHECK(count(outcome.err, str("inkling: rank 1 on host ", host_name(), ": out of memory: ")) == 1);
}

TEST_CASE("mpirun: a rank that stops for good in an exchange or while it saves ends all ranks") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  train_on(1, temporary / "whole", ten_steps(json::object()));
  for (const auto& [phase, rank] : {std::pair{"reduce", 2}, {"optimiser file", 0}}) {
    INFO(phase);
    const Death death{phase, rank, SIGSTOP, temporary / phase, json::object()};
    die(death);
    check_resumes(death, temporary / "whole");
  }
}

TEST_CASE(
    "mpirun: a run whose ranks are killed at random again and again ends with the bytes of a whole run") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  std::vector<std::string> words = twenty_steps(temporary / "whole");
  *(std::find(words.begin(), words.end(), "--steps") + 1) = "200";
  for (const char* word : {"--replicas", "4", "--threads", "1", "--val-every", "50", "--save-every", "10"})
    words.emplace_back(word);
  REQUIRE(run(words).status == 0);
  words[2] = temporary / "run";
  const std::vector<std::string> resume = {"train", "--out", temporary / "run", "--resume", "--threads", "1"};
  Rng rng(17);
  int kills = 0;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const bool starts = !RunDirectory::has_run(temporary / "run");
    const int ranks = 2 + static_cast<int>(rng.below(3));
    Process mpirun = on_mpi(ranks, starts ? words : resume);
    mpirun.watch([&] { return std::ssize(ranks_of(mpirun)) == ranks; });
    const std::vector<pid_t> pids = ranks_of(mpirun);
    std::this_thread::sleep_for(std::chrono::milliseconds(rng.below(1500)));
    const auto start = std::chrono::steady_clock::now();
    if (std::ssize(pids) == ranks && kill(pids[rng.below(static_cast<std::uint64_t>(ranks))], SIGKILL) == 0)
      ++kills;
    mpirun.wait();
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(15));
  }
  CHECK(kills > 0);
  const Outcome last = on_mpi(3, RunDirectory::has_run(temporary / "run") ? resume : words).wait();
  INFO(last.err);
  REQUIRE(last.status == 0);
  CHECK((read_text(temporary / "run/model.bin") == read_text(temporary / "whole/model.bin")));
  CHECK(timeless_metrics(temporary / "run") == timeless_metrics(temporary / "whole"));
}

}  // namespace
}  // namespace inkling
