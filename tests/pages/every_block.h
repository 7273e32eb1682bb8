// A page that has every kind of block, with the same text in all places that take text from data.
#pragma once

#include <cmath>
#include <string>

#include "apps/page/markup.h"
#include "apps/page/page.h"

namespace inkling::test {

const std::string kHostile = "</script><img src=x onerror=1> \"&'";

inline page::Page every_block(const std::string& text) {
  using namespace page;
  Page page(text);
  page.command = text;
  page.check_command = text;
  page.origin = {{"text", text}, {"seed", 42}};
  page.links = {{text, "index.html"}};
  page.lede(verbatim(text));
  const Ref a = page.given("a", 0.25, {.formula = "the slider", .label = text});
  const auto twice = COMPUTED(2 * 0.25);
  const Ref b = page.number("b", twice, {.formula = "$2 * a_{1}$", .inputs = {a}, .label = text});
  page.given("g", -0.5, {.formula = verbatim(text)});
  page.heading(text);
  page.paragraph(verbatim(text) + " {a} `code` *important* $e^{x_1}$");
  page.list({verbatim(text), "{b}"});
  page.formula("e^x");
  page.heading(text, 3);
  page.add(Verbatim{text + "\nsecond line"});
  page.add(DirectionToggle{text});
  page.add(Table{.caption = verbatim(text),
                 .columns = {verbatim(text), "$P$"},
                 .rows = {{text, a}, {Cell::marked("*m*"), Cell(b, Ref("g"))}},
                 .highlighted = 1});
  page.add(Tokens{verbatim(text), {{text, 0.5}, {"masked", 0, true, text}, {"all", 1}}, Look::second});
  page.add(LineChart{
      .id = "line",
      .title = text,
      .x_label = text,
      .y_label = text,
      .series = {{text, {1, 2, 3}, {1, std::nan(""), 3}}, {"wrong", {1, 2, 3}, {3, 0, 1}, Look::wrong}},
      .marks = {{'y', 0.5, text}, {'x', 2, text, Look::faint}},
      .toggle_log_x = true,
      .toggle_log_y = true,
      .dots = true,
      .y_min = 0.0});
  page.add(
      BarChart{.id = "bars", .title = text, .x_label = text, .bars = {{text, a}, {"g", "g", Look::wrong}}});
  page.add(Heat{.id = "heat",
                .title = text,
                .rows = {text, "r"},
                .columns = {text, "c"},
                .values = {1, -1, std::nan(""), 0.5},
                .diverging = true,
                .row_label = text,
                .column_label = text});
  page.add(Diagram{.id = "diagram",
                   .title = text,
                   .nodes = {{text, text, 0}, {"left", "", 1, Look::second}, {"right", "", 1}},
                   .edges = {{0, 1}, {0, 2}}});
  page.correction(text, verbatim(text), "{b}");
  page.script("inkling.models.twice = ({ a, factor }) => ({ numbers: { a, b: (a * factor) / 5 } });\n");
  page.add(Live{.id = "live",
                .title = text,
                .model = "twice",
                .sliders = {{"a", text, 0, 1, 0.05, 0.25}, {"factor", text, 1, 100, 0.1, 10, 0, true}},
                .data = {{"text", text}}});
  page.steps("sequence", text, [&] {
    page.step(text);
    page.paragraph("one");
    page.step("two");
    page.add(LineChart{
        .id = "inner", .title = text, .x_label = "x", .y_label = "y", .series = {{"s", {0, 1}, {0, 1}}}});
  });
  page.alternatives("alternatives", text, [&] {
    page.step(text);
    page.step("b");
    page.paragraph("two");
  });
  return page;
}

}  // namespace inkling::test
