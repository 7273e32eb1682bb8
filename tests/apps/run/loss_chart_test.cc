// The loss chart of curves that are written by hand: the places of the dots, and the labels.
#include "apps/run/loss_chart.h"

#include <algorithm>
#include <sstream>

#include "tests/catch.h"

namespace inkling {
namespace {

using Losses = std::vector<std::pair<std::int64_t, double>>;

const Terminal kFile{.columns = 0, .redraws = false, .utf8 = true};

TEST_CASE("loss chart: every column has a dot in the row of its loss, and every row has a label") {
  const Losses losses = {{1, 4.0}, {2, 2.0}, {3, 1.0}, {4, 0.0}};
  CHECK(loss_chart(losses, std::nullopt, kFile, 4, 5) ==
        "    4.00 ┤●   \n"
        "    3.00 ┤    \n"
        "    2.00 ┤ ●  \n"
        "    1.00 ┤  ● \n"
        "    0.00 ┤   ●\n"
        "          step 1 4\n");
}

TEST_CASE("loss chart: the minimum over rows is a dashed line, in the lowest row if no loss is below it") {
  const Losses losses = {{10, 5.0}, {20, 3.0}, {30, 2.0}, {40, 2.0},  {50, 2.0},  {60, 2.0},
                         {70, 2.0}, {80, 2.0}, {90, 2.0}, {100, 2.0}, {110, 2.0}, {120, 2.0}};
  CHECK(loss_chart(losses, 1.0, kFile, 12, 5) ==
        "    5.00 ┤●           \n"
        "    4.00 ┤            \n"
        "    3.00 ┤ ●          \n"
        "    2.00 ┤  ●●●●●●●●●●\n"
        "    1.00 ┤╌╌╌╌╌╌╌╌╌╌╌╌\n"
        "          step 10  120\n"
        "          ╌ minimum over rows\n");
  // If the minimum is inside the chart, dots replace the dashes of its row.
  CHECK(loss_chart({{1, 2.0}, {2, 1.0}, {3, 0.0}}, 1.0, kFile, 3, 3) ==
        "    2.00 ┤●  \n"
        "    1.00 ┤╌●╌\n"
        "    0.00 ┤  ●\n"
        "          step 1 3\n"
        "          ╌ minimum over rows\n");
}

TEST_CASE("loss chart: with more steps than columns, a column shows the mean of its steps") {
  const Losses losses = {{1, 5.0}, {2, 3.0}, {3, 2.5}, {4, 1.5}, {5, 1.0}, {6, -1.0}};
  CHECK(loss_chart(losses, std::nullopt, kFile, 3, 3) ==
        "    4.00 ┤●  \n"
        "    2.00 ┤ ● \n"
        "    0.00 ┤  ●\n"
        "          step 1 6\n");
}

TEST_CASE(
    "loss chart: every step counts in exactly one column if the columns have different numbers of steps") {
  // Five steps in two columns: two and three steps, with means 8 and 2.
  CHECK(loss_chart({{1, 9.0}, {2, 7.0}, {3, 1.0}, {4, 1.0}, {5, 4.0}}, std::nullopt, kFile, 2, 2) ==
        "    8.00 ┤● \n"
        "    2.00 ┤ ●\n"
        "          step 1 5\n");
}

TEST_CASE("loss chart: a constant loss is drawn in one row, and fewer than two steps give an empty chart") {
  CHECK_THAT(loss_chart({{1, 3.0}, {2, 3.0}}, std::nullopt, kFile, 2, 2),
             test::contains("    3.00 ┤●●\n          step 1 2\n"));
  CHECK(loss_chart({{1, 3.0}}, std::nullopt, kFile).empty());
  CHECK(loss_chart({}, 1.0, kFile).empty());
}

TEST_CASE("loss chart: on a terminal without UTF-8 it is ASCII, and as wide as the terminal") {
  const Losses losses = {{1, 4.0}, {2, 3.0}, {3, 2.0}, {4, 1.0},  {5, 1.0},  {6, 1.0},
                         {7, 1.0}, {8, 1.0}, {9, 1.0}, {10, 1.0}, {11, 1.0}, {1234567890, 1.0}};
  CHECK(loss_chart(losses, 0.0, {.columns = 20}, 64, 5) ==
        "    4.00 |*         \n"
        "    3.00 | *        \n"
        "    2.00 |  *       \n"
        "    1.00 |   *******\n"
        "    0.00 |----------\n"
        "   step 1 1234567890\n"
        " - minimum over rows\n");
}

TEST_CASE("loss chart: no line is wider than the terminal, from 20 columns") {
  Losses losses;
  for (std::int64_t step = 1; step <= 5000; ++step)
    losses.emplace_back(step, 1e7 / static_cast<double>(step));
  for (int columns = 20; columns <= 120; ++columns) {
    for (const bool utf8 : {false, true}) {
      std::istringstream lines(loss_chart(losses, 0.5, {.columns = columns, .redraws = true, .utf8 = utf8}));
      for (std::string line; std::getline(lines, line);) {
        INFO(columns << ": " << line);
        CHECK(std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xc0) != 0x80; }) <= columns);
        if (!utf8) CHECK(std::all_of(line.begin(), line.end(), [](char c) { return c >= ' ' && c <= '~'; }));
      }
    }
  }
}

}  // namespace
}  // namespace inkling
