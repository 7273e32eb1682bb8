#include "apps/page/page_terminal.h"

#include <algorithm>
#include <cmath>

#include "apps/page/markup.h"
#include "apps/page/terminal_style.h"
#include "core/error.h"

namespace inkling::page {

namespace {

// Returns markup as plain text. A number becomes its digits.
std::string plain(const Page& page, const std::string& markup) {
  std::string text;
  for (const Span& span : parse_markup(markup))
    text += span.kind == Span::Kind::number ? page.printed(span.text) : span.text;
  return text;
}

class Writer {
 public:
  Writer(const Page& page, const TextStyle& style) : page_(page), style_(style) {}

  std::string blocks(const std::vector<Block>& blocks) const {
    std::string text;
    for (const Block& block : blocks) {
      const std::string one =
          std::visit([this](const auto& content) { return (*this)(content); }, block.content);
      if (!one.empty()) text += one + "\n";
    }
    return text;
  }

  std::string operator()(const Heading& h) const {
    const std::string text = shown(style_, h.text);
    if (h.level == 3) return style_.coloured(text, "1") + "\n";
    return style_.coloured(text, "1") + "\n" + std::string(static_cast<std::size_t>(text_width(text)), '-') +
           "\n";
  }
  std::string operator()(const Paragraph& p) const { return wrapped(marked(p.text), style_.columns); }
  std::string operator()(const List& l) const {
    std::string text;
    for (const std::string& item : l.items) text += wrapped("- " + marked(item), style_.columns, "  ");
    return text;
  }
  std::string operator()(const Formula& f) const { return "    " + shown(style_, f.text) + "\n"; }
  std::string operator()(const Verbatim& v) const {
    std::string text = "  ";
    for (const char c : shown(style_, v.text)) text += c == '\n' ? std::string("\n  ") : std::string(1, c);
    return text + "\n";
  }
  std::string operator()(const Tokens& t) const {
    std::string text, line;
    for (const Token& token : t.tokens) {
      std::string one = token.masked ? "(" + token.text + ")" : "[" + token.text + "]";
      if (!token.note.empty()) one += " " + token.note;
      one = shown(style_, one);
      if (!line.empty() && text_width(line) + 2 + text_width(one) > style_.columns) {
        text += line + "\n";
        line.clear();
      }
      line += (line.empty() ? "  " : "  ") + one;
    }
    const std::string caption = marked(t.caption);
    return (caption.empty() ? "" : wrapped(caption, style_.columns)) + text + line + "\n";
  }
  std::string operator()(const LineChart& c) const { return title(c.title) + line_chart_text(c, style_); }
  std::string operator()(const BarChart& c) const {
    std::vector<BarText> bars;
    for (const Bar& bar : c.bars) {
      bars.push_back({shown(style_, bar.label), page_.printed(bar.number.name),
                      page_.at(bar.number.name).value, bar.look});
    }
    return title(c.title) + bar_chart_text(bars, c.max.value_or(0), style_);
  }
  std::string operator()(const Heat& h) const { return title(h.title) + heat_text(h, style_); }
  std::string operator()(const Diagram& d) const {
    std::string text = title(d.title);
    int rows = 0;
    for (const DiagramNode& node : d.nodes) rows = std::max(rows, node.row + 1);
    for (int row = 0; row < rows; ++row) {
      std::string line;
      for (const DiagramNode& node : d.nodes) {
        if (node.row != row) continue;
        const std::string box = node.label + (node.note.empty() ? "" : " " + node.note);
        line += (line.empty() ? "" : "  ") + style_.look("[" + shown(style_, box) + "]", node.look);
      }
      text += wrapped(pad_left(std::to_string(row + 1), 3) + "  " + line, style_.columns, "     ");
    }
    return text;
  }
  std::string operator()(const Correction& c) const {
    return wrapped(style_.look("! ", Look::second) + shown(style_, c.document) + " says: " + marked(c.says),
                   style_.columns, "  ") +
           wrapped("  Computed here: " + marked(c.truth), style_.columns, "  ");
  }
  std::string operator()(const Live& l) const {
    return wrapped(
        style_.coloured("[ On the page (--html), sliders change this: " + shown(style_, l.title) + " ]", "2"),
        style_.columns);
  }
  std::string operator()(const DirectionToggle&) const { return ""; }
  std::string operator()(const Steps& s) const {
    std::string text = title(s.title);
    for (const Step& step : s.steps)
      text += "\n" + style_.coloured("> " + shown(style_, step.label), "1") + "\n" + blocks(step.blocks);
    return text;
  }

  std::string operator()(const Table& table) const {
    std::vector<std::vector<std::string>> cells;
    cells.emplace_back();
    for (const std::string& column : table.columns) cells.back().push_back(marked(column));
    for (const auto& row : table.rows) {
      cells.emplace_back();
      for (const Cell& cell : row) cells.back().push_back(cell_text(cell));
    }
    const std::string caption = marked(table.caption);
    return (caption.empty() ? "" : wrapped(caption, style_.columns)) + table_text(table, cells);
  }

 private:
  std::string marked(const std::string& markup) const { return shown(style_, plain(page_, markup)); }
  std::string title(const std::string& text) const {
    return style_.coloured(shown(style_, text), "1") + "\n";
  }

  std::string cell_text(const Cell& cell) const {
    if (!cell.gradient.empty()) return page_.printed(cell.number) + " (" + page_.printed(cell.gradient) + ")";
    if (!cell.number.empty()) return page_.printed(cell.number);
    return cell.is_markup ? marked(cell.text) : shown(style_, cell.text);
  }

  // The first column and texts are aligned to the left, numbers to the right. The widest column gives room if
  // a line would be too wide.
  std::string table_text(const Table& table, const std::vector<std::vector<std::string>>& cells) const {
    const std::size_t columns = table.columns.size();
    std::vector<int> widths(columns, 0);
    std::vector<bool> numbers(columns, false);
    for (std::size_t r = 0; r < cells.size(); ++r) {
      for (std::size_t c = 0; c < columns; ++c) {
        widths[c] = std::max(widths[c], text_width(cells[r][c]));
        if (r > 0 && !table.rows[r - 1][c].number.empty()) numbers[c] = true;
      }
    }
    const auto total = [&] {
      int sum = 2;
      for (const int width : widths) sum += width + 2;
      return sum - 2;
    };
    while (total() > style_.columns && *std::max_element(widths.begin(), widths.end()) > 6)
      --*std::max_element(widths.begin(), widths.end());
    std::string text;
    for (std::size_t r = 0; r < cells.size(); ++r) {
      std::string line = " ";
      for (std::size_t c = 0; c < columns; ++c) {
        const std::string cell = cut(cells[r][c], widths[c]);
        line += (c == 0 ? " " : "  ") + (numbers[c] ? pad_left(cell, widths[c]) : pad_right(cell, widths[c]));
      }
      line.erase(line.find_last_not_of(' ') + 1);
      const bool strong = r == 0 || static_cast<int>(r) == table.highlighted + 1;
      text += (strong ? style_.coloured(line, r == 0 ? "2" : "1") : line) + "\n";
    }
    return text;
  }

  const Page& page_;
  const TextStyle& style_;
};

}  // namespace

std::string page_text(const Page& page, const Terminal& terminal) {
  page.check();
  const TextStyle style(terminal);
  const std::string name = shown(style, page.title());
  std::string text =
      style.coloured(name, "1") + "\n" + std::string(static_cast<std::size_t>(text_width(name)), '=') + "\n";
  if (!page.lede().empty()) text += wrapped(shown(style, plain(page, page.lede())), style.columns) + "\n";
  return text + Writer(page, style).blocks(page.blocks());
}

}  // namespace inkling::page
