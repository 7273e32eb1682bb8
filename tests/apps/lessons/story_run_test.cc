// Rows of stories for the lessons: the shifted targets, and the smallest loss that is possible on them.
#include "apps/lessons/story_run.h"

#include <cmath>

#include "apps/text/stories.h"
#include "core/error.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// -log P of each token of a row, by the grammar's own parser.
std::vector<float> scored(const std::vector<std::int32_t>& row) {
  std::vector<float> nats(row.size(), NAN);
  try {
    story_grammar().score(row, nats);
  } catch (const Error&) {
    // The row ends within a story.
  }
  return nats;
}

TEST_CASE(
    "story rows: the minimum is the mean of -log P of the targets, which are one token ahead of the ids") {
  constexpr std::int64_t B = 3, T = 50;
  Rng rng(4);
  const StoryRows rows = story_rows(B, T, rng);
  double nats = 0;
  for (std::size_t b = 0; b < B; ++b) {
    std::vector<std::int32_t> row(rows.ids.begin() + b * T, rows.ids.begin() + (b + 1) * T);
    row.push_back(rows.targets[(b + 1) * T - 1]);
    const std::vector<float> expected = scored(row);
    for (std::size_t t = 0; t < T; ++t) {
      INFO("row " << b << ", place " << t);
      CHECK(rows.targets[b * T + t] == row[t + 1]);
      CHECK(rows.nats[b * T + t] == expected[t + 1]);
      nats += static_cast<double>(expected[t + 1]);
    }
  }
  CHECK(rows.min_over_rows == approx(nats / (B * T)));
}

}  // namespace
}  // namespace inkling
