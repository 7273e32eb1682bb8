// Page: a document that explains something with numbers. A lesson or a report fills a page once; then
// page_terminal.h prints it, page_json.h writes its numbers, and page_html.h makes a file for a browser.
//
//   Page page("From logits to loss");
//   const auto p = COMPUTED(softmax(tape, logits));
//   const Ref we = page.number("softmax.p.we", p.at(0), {.formula = "$e^{z_{we}} / sum$"});
//   page.paragraph("The model gives the word *we* the probability {softmax.p.we}.");
//   page.add(BarChart{.id = "softmax.bars", .title = "Probabilities", .x_label = "p", .bars = {{"we", we}}});
//
// A page does not know how it is shown. Its errors are mistakes of the lesson: a name that is not unique, or
// a text with a number that the page does not have.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "apps/page/blocks.h"
#include "apps/page/numbers.h"

namespace inkling::page {

struct Link {
  std::string label, file;  // a file beside this page
};

// A file that is written again and again. A browser loads it every `seconds` (0: never), as long as the
// reader does not use the page. If the file is older than stale_seconds, it stops and shows the text.
struct Refresh {
  int seconds = 0;
  double written = 0;  // seconds since 1970
  int stale_seconds = 0;
  std::string stale_text = {};
};

class Page {
 public:
  explicit Page(std::string title) : title_(std::move(title)) {}

  // ---- Numbers ----

  // Adds a number that a line of the lesson computed. Error if the name is taken, or if it has other
  // characters than letters, digits, dots, dashes and underscores.
  template <class T>
  Ref number(const std::string& name, const Computed<T>& computed, About about = {}) {
    return add_number({name, static_cast<double>(computed.value), std::move(about), computed.source});
  }
  // Adds a number that was not computed: an input, or a number that a document gives.
  Ref given(const std::string& name, double value, About about = {}, const char* file = __builtin_FILE(),
            int line = __builtin_LINE()) {
    return add_number({name, value, std::move(about), {file, line, "given"}});
  }

  const std::vector<Number>& numbers() const { return numbers_; }
  const Number* find(const std::string& name) const;   // nullptr if there is no such number
  const Number& at(const std::string& name) const;     // Error if there is no such number
  std::string printed(const std::string& name) const;  // the number's text

  // ---- Blocks ----

  void lede(std::string text) { lede_ = std::move(text); }  // one sentence below the title; markup
  void heading(std::string text, int level = 2);            // level 2 or 3; inside of steps 3
  void paragraph(std::string text) { add(Paragraph{std::move(text)}); }
  void formula(std::string text) { add(Formula{std::move(text)}); }
  void list(std::vector<std::string> items) { add(List{std::move(items)}); }
  void correction(std::string document, std::string says, std::string truth) {
    add(Correction{std::move(document), std::move(says), std::move(truth)});
  }
  template <class T>
  void add(T block) {
    current_->push_back(Block{std::move(block)});
  }

  // A sequence of states: `write` calls step() before the blocks of each state. With alternatives(), each
  // state gets a button instead of "back" and "next".
  void steps(std::string id, std::string title, const std::function<void()>& write);
  void alternatives(std::string id, std::string title, const std::function<void()>& write);
  void step(std::string label);

  // Adds a script with models for Live blocks. The same text is added only once.
  void script(std::string_view javascript);

  // Checks that all numbers that texts, cells, bars and inputs name exist, and that all ids are unique.
  void check() const;

  const std::string& title() const { return title_; }
  const std::string& lede() const { return lede_; }
  const std::vector<Block>& blocks() const { return blocks_; }
  const std::vector<std::string_view>& scripts() const { return scripts_; }

  // ---- What the foot of the page says ----

  std::string command = {};        // the command that made the page
  std::string check_command = {};  // the command that checks the page's numbers
  std::vector<Link> links = {};    // other pages: previous, next, index
  Refresh refresh = {};            // whether a browser loads the file again
  nlohmann::ordered_json origin =
      {};  // how to make the page again: the lesson's number, its seed, what it breaks

 private:
  Ref add_number(Number number);
  void add_steps(Steps steps, const std::function<void()>& write);

  std::string title_, lede_;
  std::vector<Number> numbers_;
  std::map<std::string, std::size_t> index_;
  std::vector<Block> blocks_;
  std::vector<Block>* current_ = &blocks_;  // where add() puts a block
  Steps* open_steps_ = nullptr;
  std::vector<std::string_view> scripts_;
};

// Calls `visit` for each block, also for the blocks inside steps.
void for_each_block(const std::vector<Block>& blocks, const std::function<void(const Block&)>& visit);

template <class... Visitors>
struct Overloaded : Visitors... {
  using Visitors::operator()...;
};
template <class... Visitors>
Overloaded(Visitors...) -> Overloaded<Visitors...>;  // clang 14 needs this

}  // namespace inkling::page
