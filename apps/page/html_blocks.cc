#include "apps/page/html_blocks.h"

#include <algorithm>
#include <cctype>
#include <cmath>

#include "apps/page/markup.h"
#include "apps/page/page_html.h"
#include "apps/page/page_json.h"
#include "core/error.h"
#include "core/portable_math.h"

namespace inkling::page {

namespace {

// A minus sign instead of a dash.
std::string typeset(const std::string& number) {
  std::string html;
  for (const char c : number) html += c == '-' ? "\u2212" : std::string(1, c);
  return html;
}

std::string number_html(const Page& page, const std::string& name) {
  const Number& number = page.at(name);
  const std::string text = typeset(page.printed(name));
  const std::string label = number.about.label.empty() ? name : number.about.label;
  return str("<button type=\"button\" class=\"n\" data-n=\"", name, "\" aria-label=\"", escaped(label), " = ",
             text, "\">", text, "</button>");
}

// Variables are single letters and are set in italics; longer words are functions.
std::string math_text(const std::string& text) {
  std::string html;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i;
    while (end < text.size() && std::isalpha(static_cast<unsigned char>(text[end])) != 0) ++end;
    if (end == i + 1) {
      html += "<i>" + text.substr(i, 1) + "</i>";
    } else if (end > i) {
      html += text.substr(i, end - i);
    } else {
      end = i + 1;
      while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) ++end;
      html += text[i] == '-' ? "\u2212" : text[i] == '*' ? "\u00b7" : escaped(text.substr(i, end - i));
    }
    i = end;
  }
  return html;
}

std::string math_html(const std::string& formula) {
  std::string html;
  for (const MathPart& part : parse_math(formula)) {
    const char* tag = part.kind == MathPart::Kind::sub   ? "sub"
                      : part.kind == MathPart::Kind::sup ? "sup"
                                                         : nullptr;
    // A script may have scripts: e^{z_i}.
    const bool nested = tag != nullptr && part.text.find_first_of("_^") != std::string::npos;
    const std::string text = nested ? math_html(part.text) : math_text(part.text);
    html += tag == nullptr ? text : str("<", tag, ">", text, "</", tag, ">");
  }
  return html;
}

std::string cell_html(const Page& page, const Cell& cell) {
  if (!cell.gradient.empty()) {
    return str("<span class=\"forward\">", number_html(page, cell.number), "</span><span class=\"backward\">",
               number_html(page, cell.gradient), "</span>");
  }
  if (!cell.number.empty()) return number_html(page, cell.number);
  const std::string text = cell.is_markup ? marked_html(page, cell.text) : escaped(cell.text);
  return cell.link.empty() ? text : str("<a href=\"", escaped(cell.link), "\">", text, "</a>");
}

// A table of plain numbers: the data of a chart, for screen readers and for readers without scripts.
std::string data_html(const std::vector<std::string>& columns,
                      const std::vector<std::vector<std::string>>& rows) {
  std::string html =
      "<details class=\"data\"><summary>The data of this chart</summary>\n<div "
      "class=\"scroll\"><table>\n<thead><tr>";
  for (const std::string& column : columns) html += str("<th scope=\"col\">", escaped(column), "</th>");
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : rows) {
    html += "<tr>";
    for (std::size_t c = 0; c < row.size(); ++c) {
      html += c == 0 ? str("<th scope=\"row\">", escaped(row[c]), "</th>")
                     : str("<td>", escaped(row[c]), "</td>");
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table></div></details>\n";
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

// The chart's frame: the script draws into the div.
std::string figure_html(const std::string& id, const std::string& title, const std::string& data) {
  return str("<figure class=\"chart\" id=\"", escaped(id), "\">\n<figcaption>", escaped(title),
             "</figcaption>\n<div class=\"canvas\"></div>\n", data, "</figure>\n");
}

// A table shows at most this many points of a series. The JSON has all of them.
constexpr std::size_t kMostRows = 50;

std::string line_data(const LineChart& chart) {
  std::vector<std::vector<std::string>> rows;
  for (const Series& series : chart.series) {
    const std::size_t every = series.x.size() / kMostRows + 1;
    for (std::size_t i = 0; i < series.x.size(); i += every)
      rows.push_back({series.name, short_number(series.x[i]), short_number(series.y[i])});
  }
  for (const Mark& mark : chart.marks)
    rows.push_back({mark.label, mark.axis == 'x' ? short_number(mark.at) : "",
                    mark.axis == 'y' ? short_number(mark.at) : ""});
  return data_html({"series", chart.x_label, chart.y_label}, rows);
}

std::string bar_data(const Page& page, const BarChart& chart) {
  std::vector<std::vector<std::string>> rows;
  for (const Bar& bar : chart.bars) rows.push_back({bar.label, page.printed(bar.number.name)});
  return data_html({"", chart.x_label}, rows);
}

std::string heat_data(const Heat& heat) {
  std::vector<std::string> columns = {heat.row_label};
  columns.insert(columns.end(), heat.columns.begin(), heat.columns.end());
  std::vector<std::vector<std::string>> rows;
  for (std::size_t r = 0; r < heat.rows.size(); ++r) {
    rows.push_back({heat.rows[r]});
    for (std::size_t c = 0; c < heat.columns.size(); ++c) {
      const double value = heat.values[r * heat.columns.size() + c];
      rows.back().push_back(std::isnan(value) ? "" : short_number(value));
    }
  }
  return data_html(columns, rows);
}

std::string diagram_data(const Diagram& diagram) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t n = 0; n < diagram.nodes.size(); ++n) {
    const DiagramNode& node = diagram.nodes[n];
    std::string next;
    for (const auto& [from, to] : diagram.edges) {
      if (static_cast<std::size_t>(from) == n)
        next += (next.empty() ? "" : ", ") + diagram.nodes[static_cast<std::size_t>(to)].label;
    }
    rows.push_back({node.label, node.note, std::to_string(node.row + 1), next});
  }
  return data_html({"box", "", "row", "leads to"}, rows);
}

std::string tokens_html(const Page& page, const Tokens& tokens) {
  const std::string id = tokens.id.empty() ? "" : str(" id=\"", escaped(tokens.id), "\"");
  std::string html = str("<figure class=\"tokens\"", id, " data-look=\"", name(tokens.look), "\">\n");
  if (!tokens.caption.empty()) html += "<figcaption>" + marked_html(page, tokens.caption) + "</figcaption>\n";
  html += "<p>";
  for (const Token& token : tokens.tokens) {
    const double share = std::isfinite(token.value) ? std::min(std::max(token.value, 0.0), 1.0) : 1.0;
    html +=
        str("<span class=\"token", token.masked ? " masked" : "",
            "\" style=\"--share:", static_cast<int>(std::lround(100 * share)), "%\">", escaped(token.text));
    if (token.masked) html += "<span class=\"unseen\"> (masked)</span>";
    if (!token.note.empty()) html += str("<small>", escaped(token.note), "</small>");
    html += "</span> ";
  }
  return html + "</p>\n</figure>\n";
}

std::string slider_html(const std::string& id, const Slider& slider) {
  // A logarithmic slider moves in decades; the script shows 10 to the power of its position.
  const auto position = [&](double value) {
    return slider.logarithmic ? portable::log(value) / portable::log(10.0) : value;
  };
  const std::string input = id + "." + slider.name;
  return str("<label for=\"", escaped(input), "\">", escaped(slider.label), " <output>",
             printed(slider.value, {.digits = slider.digits}),
             "</output></label>\n<input type=\"range\" id=\"", escaped(input), "\" name=\"",
             escaped(slider.name), "\" min=\"", position(slider.min), "\" max=\"", position(slider.max),
             "\" step=\"", slider.step, "\" value=\"", position(slider.value), "\" data-digits=\"",
             slider.digits, "\"", slider.logarithmic ? " data-log=\"1\"" : "", ">\n");
}

std::string live_html(const Live& live) {
  std::string html = str("<form class=\"live\" id=\"", escaped(live.id), "\">\n<fieldset>\n<legend>",
                         escaped(live.title), "</legend>\n");
  for (const Slider& slider : live.sliders) html += slider_html(live.id, slider);
  return html + "<button type=\"reset\">Back to the engine's numbers</button>\n</fieldset>\n</form>\n";
}

std::string steps_html(const Page& page, const Steps& steps) {
  std::string html =
      str("<section class=\"steps\" id=\"", escaped(steps.id), "\" aria-label=\"", escaped(steps.title),
          "\" data-kind=\"", steps.alternatives ? "alternatives" : "sequence", "\">\n<p class=\"title\">",
          escaped(steps.title), "</p>\n");
  for (const Step& step : steps.steps) {
    html += str("<div class=\"step\">\n<h3 class=\"step-label\">", escaped(step.label), "</h3>\n",
                blocks_html(page, step.blocks), "</div>\n");
  }
  return html + "</section>\n";
}

// Whether a column has texts only. Such a column is aligned to the left, with its head.
bool has_only_text(const Table& table, std::size_t column) {
  return std::all_of(table.rows.begin(), table.rows.end(),
                     [&](const std::vector<Cell>& row) { return row[column].number.empty(); });
}

std::string table_html(const Page& page, const Table& table) {
  std::string html = "<div class=\"scroll\"><table class=\"numbers\">\n";
  if (!table.caption.empty()) html += "<caption>" + marked_html(page, table.caption) + "</caption>\n";
  html += "<thead><tr>";
  std::vector<const char*> align;
  for (std::size_t c = 0; c < table.columns.size(); ++c) {
    align.push_back(has_only_text(table, c) ? " class=\"text\"" : "");
    html += str("<th scope=\"col\"", align[c], ">", marked_html(page, table.columns[c]), "</th>");
  }
  html += "</tr></thead>\n<tbody>\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r) {
    html += static_cast<int>(r) == table.highlighted ? "<tr class=\"highlighted\">" : "<tr>";
    for (std::size_t c = 0; c < table.rows[r].size(); ++c) {
      const Cell& cell = table.rows[r][c];
      const bool header = c == 0 && cell.number.empty();
      const std::string tag = header ? str("<th scope=\"row\"", align[c], ">") : str("<td", align[c], ">");
      html += tag + cell_html(page, cell) + (header ? "</th>" : "</td>");
    }
    html += "</tr>\n";
  }
  return html + "</tbody>\n</table></div>\n";
}

std::string correction_html(const Page& page, const Correction& correction) {
  return str("<aside class=\"correction\">\n<p><strong>", escaped(correction.document),
             "</strong> says: ", marked_html(page, correction.says),
             "</p>\n<p><strong>Computed here:</strong> ", marked_html(page, correction.truth),
             "</p>\n</aside>\n");
}

}  // namespace

namespace {

// Returns how many bytes of punctuation a text starts with. They must stay on the line of the number before.
std::size_t leading_punctuation(const std::string& text) {
  const std::size_t end = text.find_first_not_of(".,;:!?)");
  return end == std::string::npos ? text.size() : end;
}

std::string span_html(const Page& page, const Span& span) {
  switch (span.kind) {
    case Span::Kind::code:
      return "<code>" + escaped(span.text) + "</code>";
    case Span::Kind::strong:
      return "<em>" + escaped(span.text) + "</em>";
    case Span::Kind::math:
      return "<span class=\"math\">" + math_html(span.text) + "</span>";
    case Span::Kind::number:
      return number_html(page, span.text);
    default:
      return escaped(span.text);
  }
}

}  // namespace

std::string marked_html(const Page& page, const std::string& text) {
  std::vector<Span> spans = parse_markup(text);
  std::string html;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const bool number = spans[i].kind == Span::Kind::number;
    const bool before_text = i + 1 < spans.size() && spans[i + 1].kind == Span::Kind::text;
    const std::size_t tail = number && before_text ? leading_punctuation(spans[i + 1].text) : 0;
    if (tail == 0) {
      html += span_html(page, spans[i]);
      continue;
    }
    html +=
        "<span class=\"keep\">" + span_html(page, spans[i]) + spans[i + 1].text.substr(0, tail) + "</span>";
    spans[i + 1].text.erase(0, tail);
  }
  return html;
}

std::string blocks_html(const Page& page, const std::vector<Block>& blocks) {
  std::string html;
  int sections = 0;
  const Overloaded block_html{
      [&](const Heading& h) {
        if (h.level == 2) return str("<h2 id=\"section-", ++sections, "\">", escaped(h.text), "</h2>\n");
        return str("<h3>", escaped(h.text), "</h3>\n");
      },
      [&](const Paragraph& p) { return "<p>" + marked_html(page, p.text) + "</p>\n"; },
      [&](const List& l) {
        std::string items;
        for (const std::string& item : l.items) items += "<li>" + marked_html(page, item) + "</li>\n";
        return "<ul>\n" + items + "</ul>\n";
      },
      [&](const Formula& f) { return "<p class=\"formula math\">" + math_html(f.text) + "</p>\n"; },
      [&](const Verbatim& v) { return "<pre>" + escaped(v.text) + "</pre>\n"; },
      [&](const Table& t) { return table_html(page, t); },
      [&](const Tokens& t) { return tokens_html(page, t); },
      [&](const LineChart& c) { return figure_html(c.id, c.title, line_data(c)); },
      [&](const BarChart& c) { return figure_html(c.id, c.title, bar_data(page, c)); },
      [&](const Heat& h) { return figure_html(h.id, h.title, heat_data(h)); },
      [&](const Diagram& d) { return figure_html(d.id, d.title, diagram_data(d)); },
      [&](const Correction& c) { return correction_html(page, c); },
      [&](const Live& l) { return live_html(l); },
      [&](const DirectionToggle& t) {
        return str("<div class=\"direction\" role=\"group\" aria-label=\"", escaped(t.title), "\"><span>",
                   escaped(t.title), "</span></div>\n");
      },
      [&](const Steps& s) { return steps_html(page, s); }};
  for (const Block& block : blocks) html += std::visit(block_html, block.content);
  return html;
}

}  // namespace inkling::page
