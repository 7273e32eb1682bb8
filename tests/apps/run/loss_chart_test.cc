// The loss chart of curves that are written by hand: the places of the dots, and the labels.
#include "apps/run/loss_chart.h"

#include "tests/catch.h"

namespace inkling {
namespace {

using Losses = std::vector<std::pair<std::int64_t, double>>;

TEST_CASE("loss chart: every column has a dot in the row of its loss, and every row has a label") {
  const Losses losses = {{1, 4.0}, {2, 2.0}, {3, 1.0}, {4, 0.0}};
  CHECK(loss_chart(losses, std::nullopt, 4, 5) ==
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
  CHECK(loss_chart(losses, 1.0, 12, 5) ==
        "    5.00 ┤●           \n"
        "    4.00 ┤            \n"
        "    3.00 ┤ ●          \n"
        "    2.00 ┤  ●●●●●●●●●●\n"
        "    1.00 ┤╌╌╌╌╌╌╌╌╌╌╌╌ minimum over rows\n"
        "          step 10  120\n");
  // If the minimum is inside the chart, dots replace the dashes of its row.
  CHECK(loss_chart({{1, 2.0}, {2, 1.0}, {3, 0.0}}, 1.0, 3, 3) ==
        "    2.00 ┤●  \n"
        "    1.00 ┤╌●╌ minimum over rows\n"
        "    0.00 ┤  ●\n"
        "          step 1 3\n");
}

TEST_CASE("loss chart: with more steps than columns, a column shows the mean of its steps") {
  const Losses losses = {{1, 5.0}, {2, 3.0}, {3, 2.5}, {4, 1.5}, {5, 1.0}, {6, -1.0}};
  CHECK(loss_chart(losses, std::nullopt, 3, 3) ==
        "    4.00 ┤●  \n"
        "    2.00 ┤ ● \n"
        "    0.00 ┤  ●\n"
        "          step 1 6\n");
}

TEST_CASE(
    "loss chart: every step counts in exactly one column if the columns have different numbers of steps") {
  // Five steps in two columns: two and three steps, with means 8 and 2.
  CHECK(loss_chart({{1, 9.0}, {2, 7.0}, {3, 1.0}, {4, 1.0}, {5, 4.0}}, std::nullopt, 2, 2) ==
        "    8.00 ┤● \n"
        "    2.00 ┤ ●\n"
        "          step 1 5\n");
}

TEST_CASE("loss chart: a constant loss is drawn in one row, and fewer than two steps give an empty chart") {
  CHECK_THAT(loss_chart({{1, 3.0}, {2, 3.0}}, std::nullopt, 2, 2),
             test::contains("    3.00 ┤●●\n          step 1 2\n"));
  CHECK(loss_chart({{1, 3.0}}, std::nullopt).empty());
  CHECK(loss_chart({}, 1.0).empty());
}

}  // namespace
}  // namespace inkling
