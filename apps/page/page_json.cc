#include "apps/page/page_json.h"

#include <cmath>

#include "core/error.h"

namespace inkling::page {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kDataStart = "<script type=\"application/json\" id=\"page-data\">";

Json number_json(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "Infinity" : "-Infinity";
  return value;
}

Json numbers_json(const std::vector<double>& values) {
  Json list = Json::array();
  for (const double value : values) list.push_back(number_json(value));
  return list;
}

const char* print_name(Print print) {
  return print == Print::fixed ? "fixed" : print == Print::count ? "count" : "scientific";
}

Json details_json(const Number& number) {
  Json inputs = Json::array();
  for (const Ref& input : number.about.inputs) inputs.push_back(input.name);
  Json json = {{"printed", printed(number.value, number.about)},
               {"print", print_name(number.about.print)},
               {"digits", number.about.digits},
               {"label", number.about.label},
               {"formula", number.about.formula},
               {"inputs", inputs},
               {"file", number.source.file},
               {"line", number.source.line},
               {"code", number.source.code}};
  if (!number.about.engine.empty()) json["engine"] = number.about.engine;
  return json;
}

Json line_chart_json(const LineChart& chart) {
  Json series = Json::array(), marks = Json::array();
  for (const Series& s : chart.series)
    series.push_back(
        {{"name", s.name}, {"look", name(s.look)}, {"x", numbers_json(s.x)}, {"y", numbers_json(s.y)}});
  for (const Mark& m : chart.marks)
    marks.push_back(
        {{"axis", std::string(1, m.axis)}, {"at", m.at}, {"label", m.label}, {"look", name(m.look)}});
  Json json = {{"kind", "line"},
               {"title", chart.title},
               {"x_label", chart.x_label},
               {"y_label", chart.y_label},
               {"log_x", chart.log_x},
               {"log_y", chart.log_y},
               {"toggle_log_x", chart.toggle_log_x},
               {"toggle_log_y", chart.toggle_log_y},
               {"dots", chart.dots},
               {"series", series},
               {"marks", marks}};
  if (chart.y_min) json["y_min"] = *chart.y_min;
  if (chart.y_max) json["y_max"] = *chart.y_max;
  return json;
}

Json bar_chart_json(const Page& page, const BarChart& chart) {
  Json bars = Json::array();
  for (const Bar& bar : chart.bars)
    bars.push_back({{"label", bar.label},
                    {"number", bar.number.name},
                    {"value", number_json(page.at(bar.number.name).value)},
                    {"look", name(bar.look)}});
  Json json = {{"kind", "bar"}, {"title", chart.title}, {"x_label", chart.x_label}, {"bars", bars}};
  if (chart.max) json["max"] = *chart.max;
  return json;
}

Json heat_json(const Heat& heat) {
  return {{"kind", "heat"},
          {"title", heat.title},
          {"rows", heat.rows},
          {"columns", heat.columns},
          {"row_label", heat.row_label},
          {"column_label", heat.column_label},
          {"values", numbers_json(heat.values)},
          {"digits", heat.digits},
          {"diverging", heat.diverging}};
}

Json diagram_json(const Diagram& diagram) {
  Json nodes = Json::array();
  for (const DiagramNode& node : diagram.nodes)
    nodes.push_back(
        {{"label", node.label}, {"note", node.note}, {"row", node.row}, {"look", name(node.look)}});
  return {{"kind", "diagram"}, {"title", diagram.title}, {"nodes", nodes}, {"edges", diagram.edges}};
}

std::string chart_id(const Block& block) {
  if (const auto* line = std::get_if<LineChart>(&block.content)) return line->id;
  if (const auto* bar = std::get_if<BarChart>(&block.content)) return bar->id;
  if (const auto* heat = std::get_if<Heat>(&block.content)) return heat->id;
  if (const auto* diagram = std::get_if<Diagram>(&block.content)) return diagram->id;
  return "";
}

std::string printed_earlier(const Json& value, const About& about) {
  if (value.is_number()) return printed(value.get<double>(), about);
  if (value == "NaN") return "nan";
  if (value == "Infinity") return "inf";
  if (value == "-Infinity") return "-inf";
  return "no number";
}

}  // namespace

Json chart_json(const Page& page, const Block& block) {
  if (const auto* line = std::get_if<LineChart>(&block.content)) return line_chart_json(*line);
  if (const auto* bar = std::get_if<BarChart>(&block.content)) return bar_chart_json(page, *bar);
  if (const auto* heat = std::get_if<Heat>(&block.content)) return heat_json(*heat);
  if (const auto* diagram = std::get_if<Diagram>(&block.content)) return diagram_json(*diagram);
  return nullptr;
}

Json page_json(const Page& page) {
  Json numbers = Json::object(), details = Json::object(), charts = Json::object();
  for (const Number& number : page.numbers()) {
    numbers[number.name] = number_json(number.value);
    details[number.name] = details_json(number);
  }
  for_each_block(page.blocks(), [&](const Block& block) {
    const std::string id = chart_id(block);
    if (!id.empty()) charts[id] = chart_json(page, block);
  });
  return {{"title", page.title()}, {"command", page.command}, {"origin", page.origin},
          {"numbers", numbers},    {"details", details},      {"charts", charts}};
}

std::string script_json(const Json& json) {
  std::string escaped;
  for (const char c : json.dump(-1, ' ', true, Json::error_handler_t::replace)) {
    if (c == '<') {
      escaped += "\\u003c";
    } else if (c == '>') {
      escaped += "\\u003e";
    } else if (c == '&') {
      escaped += "\\u0026";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

Json read_page_json(const std::string& path, std::string_view text) {
  const std::size_t start = text.find(kDataStart);
  if (start != std::string_view::npos) {
    text.remove_prefix(start + kDataStart.size());
    text = text.substr(0, text.find("</script>"));
  }
  const Json json = Json::parse(text, nullptr, false);
  const bool complete = json.is_object() && json.contains("numbers") && json["numbers"].is_object() &&
                        json.contains("origin") && json["origin"].is_object();
  if (!complete) fail(path, ": expected a page or the JSON of a page, with its numbers and its origin");
  return json;
}

std::vector<std::string> differences(const Page& page, const Json& earlier) {
  std::vector<std::string> lines;
  const Json& numbers = earlier.at("numbers");
  for (const Number& number : page.numbers()) {
    if (!numbers.contains(number.name)) {
      lines.push_back(str(number.name, " is missing in the file"));
      continue;
    }
    const std::string now = printed(number.value, number.about);
    const std::string before = printed_earlier(numbers[number.name], number.about);
    if (now != before) lines.push_back(str(number.name, " is ", before, " in the file, computed now: ", now));
  }
  for (const auto& [name, value] : numbers.items()) {
    if (page.find(name) == nullptr) lines.push_back(str(name, " is only in the file"));
  }
  return lines;
}

}  // namespace inkling::page
