// Ranks: the processes that train one model together, on one machine or on several.
//
// The processes are numbered 0 .. size() - 1; a process's number is its rank. Two ranks exchange messages:
// blocks of bytes of a length that both know. Messages from one rank to another arrive in the order in which
// they were sent. A transfer is a message on its way: start_send() and start_receive() return at once, and
// wait() returns when the message was sent or has arrived. The memory of the message must live until then.
//
// This file does not know what the bytes mean. Nothing here adds numbers, because the order of a sum decides
// its bits: core/ranks/collectives.h exchanges, and the caller adds. Only one thread of a rank may use its
// Ranks object. Read next: core/ranks/collectives.h, then mpi_ranks.cc, which runs this interface on MPI.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace inkling {

class Ranks {
 public:
  using Transfer = std::int64_t;
  static constexpr Transfer kNothing = -1;  // wait(kNothing) returns at once

  virtual ~Ranks() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool leads() const { return rank() == 0; }    // rank 0 writes the files and speaks for all ranks
  virtual const std::string& host() const = 0;  // the name of this rank's machine

  // Error if a message has more than kMostBytes bytes, or if `to` or `from` is no other rank.
  static constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;
  virtual Transfer start_send(int to, std::span<const std::byte> message) = 0;
  virtual Transfer start_receive(int from, std::span<std::byte> message) = 0;
  virtual void wait(Transfer transfer) = 0;

  // Ends all ranks at once. `status` is the exit status of the program.
  [[noreturn]] virtual void abort(int status) = 0;
};

// A process that trains alone.
class OnlyRank final : public Ranks {
 public:
  OnlyRank();
  int rank() const override { return 0; }
  int size() const override { return 1; }
  const std::string& host() const override { return host_; }
  Transfer start_send(int to, std::span<const std::byte> message) override;
  Transfer start_receive(int from, std::span<std::byte> message) override;
  void wait(Transfer transfer) override;
  [[noreturn]] void abort(int status) override;

 private:
  std::string host_;
};

OnlyRank& only_rank();
std::string host_name();

// The ranks that mpirun, srun or another launcher of MPI has started together with this process, or OnlyRank
// if there is no such launcher or if the program was built without MPI. Call it once, from the main thread.
std::unique_ptr<Ranks> join_ranks();

// "Open MPI 4.1.4", or an empty text if the program was built without MPI.
std::string mpi_version();

}  // namespace inkling
