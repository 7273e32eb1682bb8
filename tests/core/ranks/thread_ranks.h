// Ranks that are threads of the test's process, so that tests need neither MPI nor processes.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/error.h"
#include "core/ranks/ranks.h"

namespace inkling::test {

// The messages that are under way between the threads. A message is copied when it is sent.
class Mail {
 public:
  void send(int from, int to, std::span<const std::byte> message) {
    const std::lock_guard lock(mutex_);
    sent_bytes_ += std::ssize(message);
    boxes_[{from, to}].emplace_back(message.begin(), message.end());
    changed_.notify_all();
  }
  void receive(int from, int to, std::span<std::byte> message) {
    std::unique_lock lock(mutex_);
    std::deque<std::vector<std::byte>>& box = boxes_[{from, to}];
    changed_.wait(lock, [&] { return closed_ || !box.empty(); });
    if (box.empty()) fail("mail: rank ", to, " waits for rank ", from, ", but a rank has failed");
    if (box.front().size() != message.size())
      fail("mail: a message of ", box.front().size(), " bytes, expected ", message.size());
    std::copy(box.front().begin(), box.front().end(), message.begin());
    box.pop_front();
  }
  bool has_message(int from, int to) {
    const std::lock_guard lock(mutex_);
    return !boxes_[{from, to}].empty();
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }
  std::int64_t sent_bytes() const { return sent_bytes_; }
  bool empty() const {
    return std::all_of(boxes_.begin(), boxes_.end(), [](const auto& box) { return box.second.empty(); });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::pair<int, int>, std::deque<std::vector<std::byte>>> boxes_;
  std::int64_t sent_bytes_ = 0;
  bool closed_ = false;
};

class ThreadRank final : public Ranks {
 public:
  ThreadRank(Mail& mail, int rank, int size)
      : mail_(mail), rank_(rank), size_(size), host_(str("host", rank)) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  const std::string& host() const override { return host_; }
  Transfer start_send(int to, std::span<const std::byte> message) override {
    mail_.send(rank_, to, message);
    return kNothing;
  }
  // A message is taken when somebody waits for it, or, if it is there already, when somebody waits for
  // another one of the same rank: MPI, too, may deliver a message long before the rank waits for it. Before
  // that, its memory has no meaning.
  Transfer start_receive(int from, std::span<std::byte> message) override {
    std::fill(message.begin(), message.end(), std::byte{0xff});
    awaited_.push_back({next_, from, message});
    return next_++;
  }
  void wait(Transfer transfer) override {
    const auto wanted = std::find_if(awaited_.begin(), awaited_.end(),
                                     [&](const Awaited& one) { return one.transfer == transfer; });
    if (wanted == awaited_.end()) return;
    const int from = wanted->from;
    for (auto one = awaited_.begin(); one != awaited_.end();) {
      if (one->from != from) {
        ++one;
        continue;
      }
      // Messages of a rank arrive in order: if one is not there yet, the next message is not for a later one.
      const bool must_wait = one->transfer <= transfer;
      if (!must_wait && !mail_.has_message(from, rank_)) return;
      mail_.receive(from, rank_, one->message);
      one = awaited_.erase(one);
    }
  }
  void abort(int status) override { throw Error(str("abort with status ", status)); }

 private:
  struct Awaited {
    Transfer transfer;
    int from;
    std::span<std::byte> message;
  };

  Mail& mail_;
  int rank_, size_;
  std::string host_;
  Transfer next_ = 0;
  std::vector<Awaited> awaited_;
};

// Calls f(ranks) on `size` threads, each with its own rank. Afterwards throws the first error of a thread,
// and checks that every message was received. Returns the number of bytes that the ranks have sent.
inline std::int64_t on_ranks(int size, const std::function<void(Ranks&)>& f) {
  Mail mail;
  std::vector<std::exception_ptr> errors;
  std::mutex mutex;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        ThreadRank ranks(mail, rank, size);
        f(ranks);
      } catch (...) {
        const std::lock_guard lock(mutex);
        errors.push_back(std::current_exception());
        mail.close();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (!errors.empty()) std::rethrow_exception(errors.front());
  if (!mail.empty()) fail("mail: a message was sent, but not received");
  return mail.sent_bytes();
}

}  // namespace inkling::test
