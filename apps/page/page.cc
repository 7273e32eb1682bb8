#include "apps/page/page.h"

#include <algorithm>
#include <set>

#include "apps/page/markup.h"
#include "core/error.h"

namespace inkling::page {

const char* name(Look look) {
  constexpr const char* kNames[] = {"main", "second", "third", "fourth", "wrong", "faint", "minimum"};
  return kNames[static_cast<std::size_t>(look)];
}

Ref Page::add_number(Number number) {
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  if (number.name.empty() || number.name.find_first_not_of(kAllowed) != std::string::npos) {
    fail("page: the name of a number is \"", number.name, "\", expected letters, digits and . _ -");
  }
  if (!index_.emplace(number.name, numbers_.size()).second) {
    fail("page: two numbers have the name ", number.name);
  }
  // The compiler writes ./ before a header that it found with -I.
  if (number.source.file.starts_with("./")) number.source.file.erase(0, 2);
  numbers_.push_back(std::move(number));
  return {numbers_.back().name};
}

const Number* Page::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &numbers_[found->second];
}

const Number& Page::at(const std::string& name) const {
  const Number* number = find(name);
  if (number == nullptr) fail("page: there is no number ", name);
  return *number;
}

std::string Page::printed(const std::string& name) const {
  const Number& number = at(name);
  return page::printed(number.value, number.about);
}

void Page::heading(std::string text, int level) {
  if (level != 3 && (level != 2 || open_steps_ != nullptr)) {
    fail("page: heading \"", text, "\" has level ", level, ", expected 2 or 3, inside of steps 3");
  }
  add(Heading{level, std::move(text)});
}

void Page::add_steps(Steps steps, const std::function<void()>& write) {
  std::vector<Block>* const outer = current_;
  Steps* const outer_steps = open_steps_;
  open_steps_ = &steps;
  write();
  current_ = outer;
  open_steps_ = outer_steps;
  add(std::move(steps));
}

void Page::steps(std::string id, std::string title, const std::function<void()>& write) {
  add_steps({std::move(id), std::move(title), false}, write);
}

void Page::alternatives(std::string id, std::string title, const std::function<void()>& write) {
  add_steps({std::move(id), std::move(title), true}, write);
}

void Page::step(std::string label) {
  if (open_steps_ == nullptr) fail("page: step \"", label, "\" is outside of steps()");
  open_steps_->steps.push_back({std::move(label), {}});
  current_ = &open_steps_->steps.back().blocks;
}

void Page::script(std::string_view javascript) {
  if (std::find(scripts_.begin(), scripts_.end(), javascript) == scripts_.end())
    scripts_.push_back(javascript);
}

void for_each_block(const std::vector<Block>& blocks, const std::function<void(const Block&)>& visit) {
  for (const Block& block : blocks) {
    visit(block);
    if (const auto* steps = std::get_if<Steps>(&block.content)) {
      for (const Step& step : steps->steps) for_each_block(step.blocks, visit);
    }
  }
}

namespace {

// The references of a page, for check().
class References {
 public:
  explicit References(const Page& page) : page_(page) {}

  void operator()(const Block& block) {
    std::visit(Overloaded{[](const Heading&) {}, [](const Formula&) {}, [](const Verbatim&) {},
                          [](const DirectionToggle&) {}, [this](const Paragraph& p) { text(p.text); },
                          [this](const List& l) {
                            for (const std::string& item : l.items) text(item);
                          },
                          [this](const Table& t) { table(t); },
                          [this](const Tokens& t) {
                            text(t.caption);
                            if (!t.id.empty()) id(t.id);
                          },
                          [this](const LineChart& c) { id(c.id); },
                          [this](const BarChart& c) {
                            id(c.id);
                            for (const Bar& bar : c.bars) number(bar.number.name);
                          },
                          [this](const Heat& h) { heat(h); }, [this](const Diagram& d) { diagram(d); },
                          [this](const Correction& c) {
                            text(c.says);
                            text(c.truth);
                          },
                          [this](const Live& l) { id(l.id); }, [this](const Steps& s) { id(s.id); }},
               block.content);
  }
  void text(const std::string& marked) const {
    for (const Span& span : parse_markup(marked)) {
      if (span.kind == Span::Kind::number) number(span.text);
    }
  }
  void number(const std::string& name) const { static_cast<void>(page_.at(name)); }

 private:
  void id(const std::string& id) {
    if (id.empty() || !ids_.insert(id).second) fail("page: two blocks have the id \"", id, "\"");
  }
  void table(const Table& table) const {
    text(table.caption);
    for (const auto& row : table.rows) {
      if (row.size() != table.columns.size()) {
        fail("page: table \"", table.caption, "\": a row has ", row.size(), " cells, expected ",
             table.columns.size());
      }
      for (const Cell& cell : row) {
        if (!cell.number.empty()) number(cell.number);
        if (!cell.gradient.empty()) number(cell.gradient);
        if (cell.is_markup) text(cell.text);
      }
    }
  }
  void heat(const Heat& heat) {
    id(heat.id);
    if (heat.values.size() != heat.rows.size() * heat.columns.size()) {
      fail("page: heat chart ", heat.id, " has ", heat.values.size(), " values, expected ", heat.rows.size(),
           " times ", heat.columns.size());
    }
  }

  void diagram(const Diagram& diagram) {
    id(diagram.id);
    const auto nodes = static_cast<int>(diagram.nodes.size());
    for (const auto& [from, to] : diagram.edges) {
      if (from < 0 || from >= nodes || to < 0 || to >= nodes)
        fail("page: diagram ", diagram.id, ": an arrow leads from node ", from, " to node ", to, " of ",
             nodes);
    }
  }

  const Page& page_;
  std::set<std::string> ids_;
};

}  // namespace

void Page::check() const {
  References references(*this);
  references.text(lede_);
  for_each_block(blocks_, [&](const Block& block) { references(block); });
  for (const Number& number : numbers_) {
    references.text(number.about.formula);
    for (const Ref& input : number.about.inputs) references.number(input.name);
  }
}

}  // namespace inkling::page
