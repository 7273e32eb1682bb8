#include "apps/page/page_html.h"

#include <algorithm>
#include <cmath>

#include "apps/page/assets.h"
#include "apps/page/html_blocks.h"
#include "apps/page/page_json.h"
#include "core/error.h"

namespace inkling::page {

namespace {

using Json = nlohmann::ordered_json;

// The browser may load, send and run nothing except what is in the file.
constexpr const char* kPolicy =
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:; "
    "base-uri 'none'; form-action 'none'";

std::string head(const Page& page) {
  return str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>",
             escaped(page.title()), "</title>\n",
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n",
             "<meta name=\"color-scheme\" content=\"light dark\">\n",
             "<meta http-equiv=\"Content-Security-Policy\" content=\"", kPolicy, "\">\n<style>\n",
             style_sheet(), "</style>\n</head>\n");
}

// What page.js needs to load the file again, and what it shows when the file is old.
std::string refresh_html(const Refresh& refresh) {
  if (refresh.seconds == 0) return "";
  return str("<p id=\"stale\" role=\"status\" hidden data-every=\"", refresh.seconds, "\" data-written=\"",
             static_cast<std::int64_t>(refresh.written), "\" data-stale=\"", refresh.stale_seconds, "\">",
             escaped(refresh.stale_text), "</p>\n");
}

std::string links(const Page& page) {
  std::string html;
  for (const Link& link : page.links)
    html += str("<a href=\"", escaped(link.file), "\">", escaped(link.label), "</a>\n");
  return html;
}

// The level-2 headings, as links.
std::string contents(const Page& page) {
  std::string html;
  int n = 0;
  for (const Block& block : page.blocks()) {
    const auto* heading = std::get_if<Heading>(&block.content);
    if (heading == nullptr || heading->level != 2) continue;
    html += str("<li><a href=\"#section-", ++n, "\">", escaped(heading->text), "</a></li>\n");
  }
  if (n < 2) return "";
  return str("<nav class=\"contents\" aria-label=\"Contents\">\n<ol>\n", html, "</ol>\n</nav>\n");
}

std::string foot(const Page& page) {
  std::string html = "<footer>\n";
  if (!page.command.empty())
    html += str("<p>This page was made by <code>", escaped(page.command), "</code></p>\n");
  if (!page.check_command.empty()) {
    html += str("<p>To compute every number again and compare it with this file: <code>",
                escaped(page.check_command), "</code></p>\n");
  }
  std::string facts;
  for (const auto& [key, value] : page.origin.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    if (!text.empty()) facts += str(facts.empty() ? "" : " \u00b7 ", escaped(key), " ", escaped(text));
  }
  if (!facts.empty()) html += "<p>" + facts + "</p>\n";
  return html + "</footer>\n";
}

// What the scripts need: the page's JSON, and the Live blocks.
Json data(const Page& page) {
  Json json = page_json(page);
  Json live = Json::object();
  for_each_block(page.blocks(), [&](const Block& block) {
    if (const auto* l = std::get_if<Live>(&block.content))
      live[l->id] = {{"model", l->model}, {"data", l->data}};
  });
  json["live"] = live;
  Json formulas = Json::object();
  for (const Number& number : page.numbers()) {
    if (!number.about.formula.empty()) formulas[number.name] = marked_html(page, number.about.formula);
  }
  json["formulas"] = formulas;
  return json;
}

std::string scripts(const Page& page) {
  std::string html = str("<script>\n", chart_script(), page_script(), "</script>\n");
  for (const std::string_view script : page.scripts()) html += str("<script>\n", script, "</script>\n");
  return html + "<script>inkling.start();</script>\n";
}

}  // namespace

std::string page_html(const Page& page) {
  page.check();
  std::string html = head(page);
  html += "<body>\n<a class=\"skip\" href=\"#main\">Skip to the content</a>\n<header>\n";
  if (!page.links.empty()) html += "<nav aria-label=\"Pages\">\n" + links(page) + "</nav>\n";
  html += "<button type=\"button\" id=\"colours\" hidden>Dark</button>\n</header>\n";
  html += contents(page) + "<main id=\"main\">\n<h1>" + escaped(page.title()) + "</h1>\n";
  html += refresh_html(page.refresh);
  if (!page.lede().empty()) html += "<p class=\"lede\">" + marked_html(page, page.lede()) + "</p>\n";
  html += blocks_html(page, page.blocks());
  html += "</main>\n" + foot(page);
  html += "<div id=\"tip\" role=\"tooltip\" hidden></div>\n";
  html += "<div id=\"said\" class=\"unseen\" aria-live=\"polite\"></div>\n";
  html += str("<script type=\"application/json\" id=\"page-data\">", script_json(data(page)), "</script>\n");
  return html + scripts(page) + "</body>\n</html>\n";
}

}  // namespace inkling::page
