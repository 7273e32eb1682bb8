#include "apps/ranks/agreement.h"

#include <algorithm>
#include <new>
#include <sstream>
#include <vector>

#include "core/ranks/collectives.h"

namespace inkling {

namespace {

constexpr int kFailed = 1, kWrongUsage = 2;

std::string name_of(std::size_t rank, const std::vector<std::string>& hosts) {
  return str("rank ", rank, " on host ", hosts[rank]);
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// The lines of `text` that `other` does not have.
std::string difference(const std::string& text, const std::string& other) {
  const std::vector<std::string> others = lines_of(other);
  std::string only;
  for (const std::string& line : lines_of(text)) {
    if (std::find(others.begin(), others.end(), line) == others.end())
      only += (only.empty() ? "" : ", ") + line;
  }
  return only.empty() ? "nothing in its place" : only;
}

}  // namespace

void together(Ranks& ranks, const std::function<void()>& f) {
  if (ranks.size() == 1) return f();
  std::string mine;
  int status = 0;
  try {
    f();
  } catch (const UsageError& error) {
    mine = error.what(), status = kWrongUsage;
  } catch (const std::bad_alloc&) {
    mine = "out of memory", status = kFailed;
  } catch (const std::exception& error) {
    mine = error.what(), status = kFailed;
  }
  const std::vector<int> all = gather(ranks, status);
  const auto failed = std::find_if(all.begin(), all.end(), [](int one) { return one != 0; });
  if (failed == all.end()) return;
  const std::vector<std::string> messages = gather_texts(ranks, mine),
                                 hosts = gather_texts(ranks, ranks.host());
  const auto rank = static_cast<std::size_t>(failed - all.begin());
  throw SharedError(rank == 0 ? messages[0] : str(name_of(rank, hosts), ": ", messages[rank]), *failed);
}

void expect_same(Ranks& ranks, const std::string& what, const std::string& text) {
  if (ranks.size() == 1) return;
  const std::vector<std::string> all = gather_texts(ranks, text), hosts = gather_texts(ranks, ranks.host());
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    if (all[rank] == all[0]) continue;
    throw SharedError(
        str(what, " of the ranks differ, expected the same on all ranks: ", name_of(rank, hosts), " has ",
            difference(all[rank], all[0]), ", ", name_of(0, hosts), " has ", difference(all[0], all[rank])),
        kFailed);
  }
}

}  // namespace inkling
