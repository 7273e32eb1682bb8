// Ranks on MPI: the only file that sees <mpi.h>. It exchanges non-blocking messages between two ranks. MPI's
// own sums (MPI_Allreduce) choose their order by the number of ranks and the size of the message, so they
// would give other bits for other numbers of ranks.
//
// A rank that is killed is noticed by mpirun, which ends all ranks. A rank that was stopped, or whose machine
// has vanished, is noticed here: a second thread of each rank, the watch, sends a sign of life to rank 0
// twice a second, and rank 0 sends one to each rank. After 10 s without a sign of life, the watch names the
// silent rank and ends all ranks. One lock lets only one thread at a time into MPI.
#include <mpi.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/ranks/ranks.h"

extern char** environ;

namespace inkling {

namespace {

void check(int result, const char* what) {
  if (result == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(result, text, &length);
  fail("mpi: ", what, ": ", text);
}

// Waits for another rank to do something. At first the wait only lets other threads run, because most
// messages arrive soon. Later it sleeps: ranks that share a core would slow each other down.
class Pause {
 public:
  void operator()() {
    if (++count_ < kYields) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

 private:
  static constexpr int kYields = 1000;
  int count_ = 0;
};

enum Tag : int { kMessage, kSignOfLife, kEnd };

using Clock = std::chrono::steady_clock;
constexpr auto kSilence = std::chrono::seconds(10);
constexpr auto kBetweenSigns = std::chrono::milliseconds(500);

// The signs of life between this rank and one other rank.
struct Neighbour {
  int rank = 0;
  char sent = 0, received = 0;
  MPI_Request send = MPI_REQUEST_NULL, receive = MPI_REQUEST_NULL;
  Clock::time_point heard = {};
};

class MpiRanks final : public Ranks {
 public:
  MpiRanks() {
    int provided = 0;
    check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided), "init");
    if (provided < MPI_THREAD_SERIALIZED)
      fail("mpi: it allows only one thread, expected MPI_THREAD_SERIALIZED");
    check(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "error handler");
    check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "rank");
    check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "size");
    gather_hosts();
    if (size_ > 1) start_watch();
  }

  // All ranks end together: MPI_Finalize waits for all of them. A rank that ends alone must call abort().
  ~MpiRanks() override {
    if (size_ > 1) {
      wait_for_all();
      stop_watch();
    }
    MPI_Finalize();
  }
  MpiRanks(const MpiRanks&) = delete;
  MpiRanks& operator=(const MpiRanks&) = delete;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& host() const override { return hosts_[static_cast<std::size_t>(rank_)]; }

  Transfer start_send(int to, std::span<const std::byte> message) override {
    return start([&](MPI_Request* request) {
      return MPI_Isend(message.data(), checked_bytes(to, message.size()), MPI_BYTE, to, kMessage,
                       MPI_COMM_WORLD, request);
    });
  }

  Transfer start_receive(int from, std::span<std::byte> message) override {
    return start([&](MPI_Request* request) {
      return MPI_Irecv(message.data(), checked_bytes(from, message.size()), MPI_BYTE, from, kMessage,
                       MPI_COMM_WORLD, request);
    });
  }

  void wait(Transfer transfer) override {
    if (transfer == kNothing) return;
    wait_for(requests_.at(static_cast<std::size_t>(transfer)));
    free_.push_back(transfer);
  }

  [[noreturn]] void abort(int status) override {
    const std::lock_guard lock(mpi_);
    MPI_Abort(MPI_COMM_WORLD, status);
    std::_Exit(status);  // MPI_Abort does not return
  }

 private:
  int checked_bytes(int other, std::size_t bytes) const {
    if (other < 0 || other >= size_ || other == rank_)
      fail("ranks: a message between rank ", rank_, " and rank ", other, " of ", size_);
    if (bytes > static_cast<std::size_t>(kMostBytes))
      fail("ranks: a message of ", bytes, " bytes, expected at most ", kMostBytes);
    return static_cast<int>(bytes);
  }

  // Requests keep their place in the vector, so a training step allocates nothing after the first steps.
  template <class Start>
  Transfer start(Start start_transfer) {
    if (free_.empty()) {
      free_.push_back(static_cast<Transfer>(requests_.size()));
      requests_.push_back(MPI_REQUEST_NULL);
    }
    const Transfer transfer = free_.back();
    const std::lock_guard lock(mpi_);
    check(start_transfer(&requests_[static_cast<std::size_t>(transfer)]), "start of a message");
    free_.pop_back();
    return transfer;
  }

  bool is_done(MPI_Request& request) {
    int done = 0;
    const std::lock_guard lock(mpi_);
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "wait");
    return done != 0;
  }

  void wait_for(MPI_Request& request) {
    for (Pause pause; !is_done(request);) pause();
  }

  void gather_hosts() {
    std::array<char, 256> mine{};
    std::strncpy(mine.data(), host_name().c_str(), mine.size() - 1);
    std::vector<std::array<char, 256>> all(static_cast<std::size_t>(size_));
    check(MPI_Allgather(mine.data(), static_cast<int>(mine.size()), MPI_BYTE, all.data(),
                        static_cast<int>(mine.size()), MPI_BYTE, MPI_COMM_WORLD),
          "host names");
    for (const auto& host : all) hosts_.emplace_back(host.data());
  }

  // Every rank tells rank 0 that it has come to its end, and rank 0 answers when all have.
  void wait_for_all() {
    char byte = 0;
    const auto exchange = [&](int other, bool sends) {
      MPI_Request request = MPI_REQUEST_NULL;
      {
        const std::lock_guard lock(mpi_);
        check(sends ? MPI_Isend(&byte, 1, MPI_BYTE, other, kEnd, MPI_COMM_WORLD, &request)
                    : MPI_Irecv(&byte, 1, MPI_BYTE, other, kEnd, MPI_COMM_WORLD, &request),
              "end");
      }
      wait_for(request);
    };
    for (const bool sends : {leads() ? false : true, leads()}) {
      for (int other = leads() ? 1 : 0; other < (leads() ? size_ : 1); ++other) exchange(other, sends);
    }
  }

  // ---- The watch ----

  void start_watch() {
    for (int other = leads() ? 1 : 0; other < (leads() ? size_ : 1); ++other) {
      neighbours_.emplace_back();
      neighbours_.back().rank = other;
    }
    watch_ = std::thread([this] { watch(); });
  }

  void stop_watch() {
    {
      const std::lock_guard lock(ending_mutex_);
      ending_ = true;
    }
    ending_changed_.notify_all();
    watch_.join();
    for (Neighbour& n : neighbours_) {  // signs of life that nobody will send or receive any more
      if (n.receive != MPI_REQUEST_NULL) MPI_Cancel(&n.receive), MPI_Wait(&n.receive, MPI_STATUS_IGNORE);
      if (n.send != MPI_REQUEST_NULL) MPI_Request_free(&n.send);
    }
  }

  void watch() {
    Clock::time_point before = Clock::now();
    for (Neighbour& n : neighbours_) n.heard = before;
    std::unique_lock lock(ending_mutex_);
    while (!ending_changed_.wait_for(lock, kBetweenSigns, [&] { return ending_; })) {
      const Clock::time_point now = Clock::now();
      // If this whole process was stopped for a while (Ctrl-Z), then so were the others.
      const bool was_stopped = now - before > kSilence / 2;
      before = now;
      for (Neighbour& n : neighbours_) {
        exchange_signs(n, now);
        if (was_stopped) n.heard = now;
        // If rank 0 is silent, all others notice it. Rank 1 is the first to speak.
        const auto patience = kSilence + kBetweenSigns * (leads() ? 0 : rank_ - 1);
        if (now - n.heard > patience) end_because_of(n.rank);
      }
    }
  }

  void exchange_signs(Neighbour& n, Clock::time_point now) {
    const std::lock_guard lock(mpi_);
    int done = 1;
    if (n.receive != MPI_REQUEST_NULL) {
      MPI_Test(&n.receive, &done, MPI_STATUS_IGNORE);
      if (done != 0) n.heard = now;
    }
    if (done != 0) MPI_Irecv(&n.received, 1, MPI_BYTE, n.rank, kSignOfLife, MPI_COMM_WORLD, &n.receive);
    if (n.send != MPI_REQUEST_NULL) MPI_Test(&n.send, &done, MPI_STATUS_IGNORE);
    if (n.send == MPI_REQUEST_NULL)
      MPI_Isend(&n.sent, 1, MPI_BYTE, n.rank, kSignOfLife, MPI_COMM_WORLD, &n.send);
  }

  [[noreturn]] void end_because_of(int silent) {
    std::cerr << "inkling: rank " << silent << " on host " << hosts_[static_cast<std::size_t>(silent)]
              << " has given no sign of life for " << kSilence.count()
              << " s, so all ranks end; --resume continues from the last checkpoint" << std::endl;
    abort(1);
  }

  int rank_ = 0, size_ = 1;
  std::vector<std::string> hosts_;
  std::mutex mpi_;  // only the thread that has it calls MPI
  std::vector<MPI_Request> requests_;
  std::vector<Transfer> free_;  // the places in requests_ that are not in use

  std::vector<Neighbour> neighbours_;  // of rank 0 all others, of all others rank 0
  std::thread watch_;
  std::mutex ending_mutex_;
  std::condition_variable ending_changed_;
  bool ending_ = false;
};

// Whether a launcher of MPI has started this process. MPI alone knows the number of ranks; but to ask it
// takes half a second and starts a daemon, so a process that was started without a launcher does not ask.
bool was_launched() {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text = *variable;
    for (const char* prefix : {"PMIX_", "PMI_", "OMPI_COMM_WORLD_"}) {
      if (text.starts_with(prefix)) return true;
    }
  }
  return false;
}

}  // namespace

std::unique_ptr<Ranks> join_ranks() {
  if (!was_launched()) return std::make_unique<OnlyRank>();
  return std::make_unique<MpiRanks>();
}

std::string mpi_version() {
  return str("Open MPI ", OMPI_MAJOR_VERSION, ".", OMPI_MINOR_VERSION, ".", OMPI_RELEASE_VERSION);
}

}  // namespace inkling
