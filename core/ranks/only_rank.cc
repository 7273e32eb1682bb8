#include <unistd.h>

#include <array>
#include <cstdlib>

#include "core/error.h"
#include "core/ranks/ranks.h"

namespace inkling {

std::string host_name() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "unknown";
}

OnlyRank& only_rank() {
  static OnlyRank rank;
  return rank;
}

OnlyRank::OnlyRank() : host_(host_name()) {}

Ranks::Transfer OnlyRank::start_send(int to, std::span<const std::byte>) {
  fail("ranks: a message to rank ", to, ", but there is only rank 0");
}

Ranks::Transfer OnlyRank::start_receive(int from, std::span<std::byte>) {
  fail("ranks: a message from rank ", from, ", but there is only rank 0");
}

void OnlyRank::wait(Transfer) {}

void OnlyRank::abort(int status) {
  std::_Exit(status);
}

}  // namespace inkling
