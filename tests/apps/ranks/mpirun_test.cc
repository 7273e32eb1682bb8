// Runs of several processes with mpirun: the same bytes for any number of ranks, and errors with one message.
#include "tests/apps/ranks/mpirun.h"

#include "tests/apps/run/tiny_run.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Steps of a batch of four parts.
std::vector<std::string> four_parts(const std::string& out, int steps = 20) {
  std::vector<std::string> words = twenty_steps(out);
  *(std::find(words.begin(), words.end(), "--steps") + 1) = str(steps);
  for (const char* word : {"--replicas", "4", "--threads", "1", "--val-every", "10", "--save-every", "10"})
    words.emplace_back(word);
  return words;
}

TEST_CASE("mpirun: 1, 2, 3 and 4 ranks write the same files, and rank 0 alone prints") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  const Outcome alone = run(four_parts(temporary / "alone"));
  REQUIRE(alone.status == 0);
  for (const int ranks : {1, 2, 3, 4}) {
    const std::string out = temporary / str(ranks);
    const Outcome outcome = on_mpi(ranks, four_parts(out)).wait();
    INFO("ranks " << ranks << "\n" << outcome.err);
    CHECK(outcome.status == 0);
    CHECK(count(outcome.out, "What it learned") == 1);
    CHECK(count(outcome.err, "parameters (2 layers") == 1);
    for (const char* file : {"model.bin", "checkpoints/step_00000020/manifest.json"}) {
      INFO(file);
      const std::string bytes = read_text(temporary / (std::string("alone/") + file));
      CHECK_FALSE(bytes.empty());
      CHECK((read_text(out + "/" + file) == bytes));
    }
    CHECK(timeless_metrics(out) == timeless_metrics(temporary / "alone"));
  }
}

TEST_CASE("mpirun: by default a run has a part for each rank") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  REQUIRE(on_mpi(2, twenty_steps(temporary / "run")).wait().status == 0);
  CHECK(RunDirectory(temporary / "run").read_config().at("replicas") == 2);
}

TEST_CASE("mpirun: a batch that the ranks cannot divide is refused with the numbers, in one line") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  const Outcome outcome = on_mpi(3, twenty_steps(temporary / "run")).wait();
  INFO(outcome.err);
  CHECK(outcome.status == 2);
  CHECK(count(outcome.err, "--batch-size is 4, expected a multiple of the 3 replicas") == 1);
  CHECK_FALSE(std::filesystem::exists(temporary / "run"));
}

TEST_CASE("mpirun: more ranks than parts are refused with the numbers") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  std::vector<std::string> words = twenty_steps(temporary / "run");
  words.insert(words.end(), {"--replicas", "2"});
  const Outcome outcome = on_mpi(3, words).wait();
  INFO(outcome.err);
  CHECK(outcome.status == 2);
  CHECK(count(outcome.err, "there are 3 ranks, expected at most 2 as in --replicas") == 1);
}

TEST_CASE("mpirun: an environment variable without a launcher does not make ranks") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  setenv("OMPI_COMM_WORLD_SIZE", "4", 1);
  const Outcome outcome = run(twenty_steps(temporary / "run"));
  unsetenv("OMPI_COMM_WORLD_SIZE");
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  CHECK(RunDirectory(temporary / "run").read_config().at("replicas") == 1);
}

TEST_CASE(
    "mpirun: a run that stops after SIGUSR1 and resumes on another number of ranks has the same files") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  std::vector<std::string> words = four_parts(temporary / "whole", 300);
  REQUIRE(run(words).status == 0);
  words[2] = temporary / "run";
  Process first = on_mpi(2, words);
  first.watch([&] { return count(read_text(temporary / "run/metrics.jsonl"), "grad_norm") >= 20; });
  first.send(SIGUSR1);
  const Outcome stopped = first.wait();
  INFO(stopped.err);
  CHECK(stopped.status == 128 + SIGUSR1);
  CHECK(count(stopped.err, "all saved. Continue with") == 1);
  const Outcome resumed =
      on_mpi(3, {"train", "--out", temporary / "run", "--resume", "--threads", "1"}).wait();
  INFO(resumed.err);
  CHECK(resumed.status == 0);
  CHECK((read_text(temporary / "run/model.bin") == read_text(temporary / "whole/model.bin")));
  CHECK(timeless_metrics(temporary / "run") == timeless_metrics(temporary / "whole"));
}

TEST_CASE("mpirun: ranks with different flags are refused, with both flags") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  std::vector<std::string> words = four_parts(temporary / "run"), other = words;
  other.insert(other.end(), {"--seed", "7"});
  words.insert(words.end(), {":", "-n", "1", binary()});
  words.insert(words.end(), other.begin(), other.end());
  const Outcome outcome = on_mpi(1, words).wait();
  INFO(outcome.err);
  CHECK(outcome.status == 1);
  CHECK(count(outcome.err, "the flags of the ranks differ") == 1);
  CHECK(count(outcome.err, "has --seed 7, rank 0 on host " + host_name() + " has nothing in its place") == 1);
  CHECK_FALSE(std::filesystem::exists(temporary / "run"));
}

TEST_CASE("mpirun: ranks with other kernels are refused if their bits differ") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  std::vector<std::string> words = four_parts(temporary / "run"), other = words;
  words.insert(words.end(), {":", "-n", "1", "-x", "INKLING_ISA=scalar", binary()});
  words.insert(words.end(), other.begin(), other.end());
  const Outcome outcome = on_mpi(1, words).wait();
  INFO(outcome.err);
  CHECK(outcome.status == 1);
  CHECK(count(outcome.err, "the kernels of the ranks differ") == 1);
}

// Another rank sees other bytes at the same path: in its own mount namespace, another file is mounted there.
TEST_CASE("mpirun: ranks whose data has the same name, but other contents, are refused in one line") {
  skip_without_mpi();
  if (std::system("unshare -rm mount --bind /dev/null /dev/null 2> /dev/null") != 0)
    skip("this machine allows no mount namespaces (unshare -rm)");
  const TemporaryDirectory temporary;
  const std::string data = temporary / "data.bin", other = temporary / "other.bin";
  std::string bytes = read_text("tests/goldens/curve_tokens.bin");
  write_text(data, bytes);
  bytes[1024] = bytes[1024] == 7 ? 8 : 7;  // the first token
  write_text(other, bytes);
  std::vector<std::string> words = four_parts(temporary / "run");
  *(std::find(words.begin(), words.end(), "--data") + 1) = data;
  std::vector<std::string> all = words;
  all.insert(all.end(), {":", "-n", "1", "unshare", "-rm", "sh", "-c",
                         "mount --bind \"$0\" \"$1\" && shift && exec \"$@\"", other, data, binary()});
  all.insert(all.end(), words.begin(), words.end());
  const Outcome outcome = on_mpi(1, all).wait();
  INFO(outcome.err);
  CHECK(outcome.status == 1);
  CHECK(count(outcome.err, "inkling: ") == 1);
  CHECK(
      count(outcome.err, str("the data of the ranks differ, expected the same on all ranks: rank 1 on host ",
                             host_name(), " has data.bin ")) == 1);
}

TEST_CASE("mpirun: a rank with another program is refused in one line") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  const std::string other = temporary / "inkling";
  write_text(other, read_text(binary()) + "x");
  std::filesystem::permissions(other, std::filesystem::perms::owner_all);
  std::vector<std::string> words = four_parts(temporary / "run"), all = words;
  all.insert(all.end(), {":", "-n", "1", other});
  all.insert(all.end(), words.begin(), words.end());
  const Outcome outcome = on_mpi(1, all).wait();
  INFO(outcome.err);
  CHECK(outcome.status == 1);
  CHECK(count(outcome.err, "inkling: ") == 1);
  CHECK(count(outcome.err, str("the programs of the ranks differ, expected the same on all ranks: rank 1 on "
                               "host ",
                               host_name())) == 1);
  CHECK_FALSE(std::filesystem::exists(temporary / "run"));
}

TEST_CASE("mpirun: with local steps, 1, 2 and 4 ranks write the same files") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  const auto local = [](const std::string& out) {
    std::vector<std::string> words = four_parts(out);
    words.insert(words.end(), {"--local-steps", "5", "--local-steps-dtype", "bf16"});
    return words;
  };
  REQUIRE(run(local(temporary / "alone")).status == 0);
  for (const int ranks : {2, 4}) {
    const std::string out = temporary / str(ranks);
    const Outcome outcome = on_mpi(ranks, local(out)).wait();
    INFO("ranks " << ranks << "\n" << outcome.err);
    CHECK(outcome.status == 0);
    for (const char* file : {"model.bin", "checkpoints/step_00000020/manifest.json"})
      CHECK((read_text(out + "/" + file) == read_text(temporary / (std::string("alone/") + file))));
    CHECK(timeless_metrics(out) == timeless_metrics(temporary / "alone"));
  }
}

TEST_CASE("mpirun: a rank that is stopped or killed ends all ranks soon, and the run can be resumed") {
  skip_without_mpi();
  const TemporaryDirectory temporary;
  std::vector<std::string> words = four_parts("", 1000000);
  for (const int signal : {SIGSTOP, SIGKILL}) {
    const std::string out = temporary / str("run", signal);
    words[2] = out;
    Process mpirun = on_mpi(2, words);
    mpirun.watch([&] { return std::filesystem::exists(out + "/checkpoints/step_00000010"); });
    const std::vector<pid_t> pids = ranks_of(mpirun);
    REQUIRE(pids.size() == 2);
    const auto start = std::chrono::steady_clock::now();
    kill(pids[1], signal);
    const Outcome outcome = mpirun.wait();
    INFO(outcome.err);
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(15));
    CHECK(outcome.status != 0);
    if (signal == SIGSTOP) CHECK(count(outcome.err, "inkling: rank 1 on host " + host_name()) == 1);
    if (signal == SIGKILL) CHECK(count(outcome.err, "process rank 1") == 1);
    // The run continues from its last checkpoint.
    std::filesystem::path last;
    for (const auto& entry : std::filesystem::directory_iterator(out + "/checkpoints"))
      last = std::max(last, entry.path());
    const std::string steps = str(std::stoi(last.filename().string().substr(5)) + 2);
    REQUIRE(on_mpi(2, {"train", "--out", out, "--resume", "--steps", steps}).wait().status == 0);
  }
}

}  // namespace
}  // namespace inkling
