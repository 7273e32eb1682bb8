// Charts in characters: every point is in its row and column, and what an axis cannot show is left out.
#include <limits>

#include "apps/page/terminal_style.h"
#include "tests/support.h"

namespace inkling::page {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// 20 columns, the fewest there are: 11 for the y axis, 9 for the chart.
const TextStyle kNarrow(Terminal{.columns = 20});

TEST_CASE("terminal charts: a line from the lower left corner to the upper right one, and a mark across") {
  const LineChart chart{.id = "c",
                        .title = "",
                        .x_label = "step",
                        .y_label = "loss",
                        .series = {{"train", {0, 4, 8}, {0, 6, 13}}},
                        .marks = {{'y', 3, "minimum"}}};
  CHECK(line_chart_text(chart, kNarrow) ==
        "  loss\n"
        "       13 |        *\n"
        "          |         \n"
        "          |         \n"
        "       10 |         \n"
        "          |         \n"
        "          |         \n"
        "        7 |         \n"
        "          |    *    \n"
        "          |         \n"
        "        4 |         \n"
        "          |---------\n"
        "          |         \n"
        "        1 |         \n"
        "        0 |*        \n"
        "           0 8  step\n"
        "  * train\n"
        "  - minimum 3\n");
}

TEST_CASE(
    "terminal charts: an axis begins at its smallest number; a logarithmic axis leaves out 0 and below") {
  LineChart chart{
      .id = "c", .title = "", .x_label = "", .y_label = "", .series = {{"", {1, 2, 3}, {0, 1, 100}}}};
  CHECK_THAT(line_chart_text(chart, kNarrow), Catch::Contains("      100 |        *\n"));
  CHECK_THAT(line_chart_text(chart, kNarrow), Catch::Contains("        0 |*   *    \n"));
  chart.log_y = true;
  CHECK_THAT(line_chart_text(chart, kNarrow), Catch::Contains("      100 |        *\n"));
  CHECK_THAT(line_chart_text(chart, kNarrow), Catch::Contains("        1 |    *    \n"));
  chart.series[0].y = {-1, 0, kNaN};
  CHECK(line_chart_text(chart, kNarrow).empty());
}

TEST_CASE("terminal charts: bars are as long as their values, the longest has all columns") {
  const TextStyle style(Terminal{.columns = 22});  // the last column stays empty; 11 are for a bar
  CHECK(bar_chart_text({{"we", "1", 1, Look::main}, {"the", "4", 4, Look::main}, {"is", "0", 0, Look::main}},
                       0, style) ==
        "   we  ### 1\n"
        "  the  ########### 4\n"
        "   is  0\n");
}

TEST_CASE("terminal charts: a heat map has a row and a column for each label, and a dot for an empty cell") {
  const Heat heat{.id = "h",
                  .title = "",
                  .rows = {"a", "long"},
                  .columns = {"x", "y"},
                  .values = {1, kNaN, -0.5, 0.25},
                  .digits = 1};
  CHECK(heat_text(heat, TextStyle(Terminal{.columns = 40})) ==
        "          x    y\n"
        "     a  1.0    .\n"
        "  long -0.5  0.2\n");
}

}  // namespace
}  // namespace inkling::page
