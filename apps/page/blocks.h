// The blocks of a page: what a page is made of, without saying how it looks.
//
// Texts have the markup of markup.h where a comment says so. All other texts are plain: they may come from
// data and are shown as they are. Read next: page.h.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "apps/page/numbers.h"

namespace inkling::page {

struct Heading {
  int level;  // 2 or 3; the page's title is level 1
  std::string text;
};

struct Paragraph {
  std::string text;  // markup
};

struct List {
  std::vector<std::string> items;  // markup
};

struct Formula {
  std::string text;  // a formula, written as in markup but without the $
};

// Source code or text in lines, shown as it is.
struct Verbatim {
  std::string text;
};

// A cell of a table: text, a number, or a number and its gradient. The reader chooses whether the page shows
// numbers or gradients.
struct Cell {
  Cell(std::string plain) : text(std::move(plain)) {}
  Cell(const char* plain) : text(plain) {}
  Cell(Ref ref) : number(std::move(ref.name)) {}
  Cell(Ref forward, Ref backward) : number(std::move(forward.name)), gradient(std::move(backward.name)) {}
  static Cell marked(std::string markup) {
    Cell cell(std::move(markup));
    cell.is_markup = true;
    return cell;
  }
  std::string text = {}, number = {}, gradient = {};
  bool is_markup = false;
  std::string link = {};  // the page that the text leads to, beside this page
};

struct Table {
  std::string caption;               // markup
  std::vector<std::string> columns;  // markup
  std::vector<std::vector<Cell>> rows = {};
  int highlighted = -1;  // the index of a row that matters most
};

// How a line, bar or token looks. Colours follow the meaning, not the order.
enum class Look { main, second, third, fourth, wrong, faint, minimum };
const char* name(Look look);

// A row of tokens. `value` from 0 to 1 colours a token: 0 is not coloured. `masked` tokens are struck out.
// The sliders of a Live block may change the values and the notes of tokens with an id.
struct Token {
  std::string text;
  double value = 0;
  bool masked = false;
  std::string note = {};  // shown below the token: an id, a probability
};
struct Tokens {
  std::string caption;  // markup
  std::vector<Token> tokens;
  Look look = Look::main;
  std::string id = {};  // unique, or empty
};

struct Series {
  std::string name;
  std::vector<double> x, y;
  Look look = Look::main;

  void add(double at, double value) {
    x.push_back(at);
    y.push_back(value);
  }
};
// A straight line across a chart, for example the theoretical minimum.
struct Mark {
  char axis;  // 'x' or 'y': the axis that `at` is on
  double at;
  std::string label;
  Look look = Look::minimum;
};
struct LineChart {
  std::string id;     // unique, like the name of a number
  std::string title;  // plain
  std::string x_label, y_label;
  std::vector<Series> series = {};
  std::vector<Mark> marks = {};
  bool log_x = false, log_y = false;
  bool toggle_log_x = false, toggle_log_y = false;  // whether the reader may choose between linear and log
  bool dots = false;                                // a dot at each point
  std::optional<double> y_min = {}, y_max = {};
};

struct Bar {
  std::string label;
  Ref number;
  Look look = Look::main;
};
struct BarChart {
  std::string id, title, x_label;
  std::vector<Bar> bars = {};
  std::optional<double> max = {};
};

struct Heat {
  std::string id, title;
  std::vector<std::string> rows = {}, columns = {};
  std::vector<double> values = {};  // row after row; NaN: an empty cell
  int digits = 2;
  bool diverging = false;  // true: other colours for negative numbers than for positive numbers
  std::string row_label = {}, column_label = {};
};

// Boxes in rows, from the first row to the last, and arrows between them.
struct DiagramNode {
  std::string label, note;  // the note is a second, smaller line
  int row;                  // from 0
  Look look = Look::main;
};
struct Diagram {
  std::string id, title;
  std::vector<DiagramNode> nodes;
  std::vector<std::pair<int, int>> edges;  // from node, to node
};

// A correction: a number in one of the documents is wrong, or another document contradicts it.
struct Correction {
  std::string document;  // which document and section
  std::string says;      // markup
  std::string truth;     // markup, with the computed number
};

struct Slider {
  std::string name, label;
  double min, max, step, value;
  int digits = 2;
  bool logarithmic = false;  // then min, max and value are numbers above 0, and step counts decades
};
// Sliders that recompute numbers and charts of the page. `model` is a function of the page's scripts:
// inkling.models[model] = (sliders, data) => ({numbers: {name: value}, charts: {id: {series: [...]}},
// tokens: {id: [{value, note}]}}).
// At the initial values of the sliders, it must return the engine's numbers; the browser test compares them.
struct Live {
  std::string id, title, model;
  std::vector<Slider> sliders;
  nlohmann::ordered_json data = {};
};

// A switch: the reader chooses whether cells with two numbers show values or gradients.
struct DirectionToggle {
  std::string title;
};

struct Block;
struct Step {
  std::string label;
  std::vector<Block> blocks;
};
// A sequence of states (with buttons back and next), or alternatives (with one button each).
struct Steps {
  std::string id, title;
  bool alternatives = false;
  std::vector<Step> steps = {};
};

struct Block {
  std::variant<Heading, Paragraph, List, Formula, Verbatim, Table, Tokens, LineChart, BarChart, Heat, Diagram,
               Correction, Live, DirectionToggle, Steps>
      content;
};

}  // namespace inkling::page
