// Pages: markup, printed numbers, escaping, mistakes of a lesson, and text for terminals.
#include "apps/page/page.h"

#include "apps/page/markup.h"
#include "apps/page/page_html.h"
#include "apps/page/page_json.h"
#include "apps/page/page_terminal.h"
#include "tests/pages/browser.h"
#include "tests/pages/every_block.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using namespace inkling::page;

TEST_CASE("markup: text, code, important words, formulas and numbers") {
  const std::vector<Span> spans = parse_markup("a `b*c` *d* $e_f$ {g.h} \\*i\\{");
  REQUIRE(spans.size() == 9);
  CHECK(spans[1].kind == Span::Kind::code);
  CHECK(spans[1].text == "b*c");
  CHECK(spans[3].kind == Span::Kind::strong);
  CHECK(spans[5].kind == Span::Kind::math);
  CHECK(spans[7].kind == Span::Kind::number);
  CHECK(spans[7].text == "g.h");
  CHECK(spans[8].text == " *i{");
  for (const char* open : {"`a", "*a", "$a", "{a"})
    CHECK_THROWS_WITH(parse_markup(open), contains("is not closed"));
  CHECK_THROWS_WITH(parse_math("e^{a"), contains("is not closed"));
}

TEST_CASE("markup: verbatim text is shown as it is, whatever it has") {
  const std::string text = "\\ `x` *y* $z$ {w} ^_ </script>";
  const std::vector<Span> spans = parse_markup(verbatim(text));
  REQUIRE(spans.size() == 1);
  CHECK(spans[0].text == text);
}

TEST_CASE("page numbers: how they are printed") {
  CHECK(printed(0.149436, {.digits = 4}) == "0.1494");
  CHECK(printed(-0.00001, {.digits = 2}) == "0.00");
  CHECK(printed(50257, {.print = Print::count}) == "50,257");
  CHECK(printed(1.4e-45, {.digits = 1, .print = Print::scientific}) == "1.4e-45");
  CHECK(printed(1234.0, {.digits = 2, .print = Print::scientific}) == "1.23e3");
  CHECK(printed(0.0, {.digits = 2, .print = Print::scientific}) == "0");
  CHECK(printed(std::nan(""), {}) == "nan");
  CHECK(printed(-std::numeric_limits<double>::infinity(), {}) == "-inf");
}

TEST_CASE("page: mistakes of a lesson are errors that name the number or the block") {
  Page page("t");
  page.given("a", 1);
  CHECK_THROWS_WITH(page.given("a", 2), contains("two numbers have the name a"));
  CHECK_THROWS_WITH(page.given("a b", 2), contains("a b"));
  CHECK_THROWS_WITH(page.given("", 2), contains("expected letters"));
  CHECK_THROWS_WITH(page.heading("h", 4), contains("level 4"));
  CHECK_THROWS_WITH(page.step("s"), contains("outside of steps()"));
  page.paragraph("{missing}");
  CHECK_THROWS_WITH(page.check(), contains("there is no number missing"));
  Page table("t");
  table.add(Table{.caption = "c", .columns = {"a", "b"}, .rows = {{"one"}}});
  CHECK_THROWS_WITH(table.check(), contains("a row has 1 cells, expected 2"));
  Page heat("t");
  heat.add(Heat{.id = "h", .title = "", .rows = {"a"}, .columns = {"b"}, .values = {}});
  CHECK_THROWS_WITH(heat.check(), contains("0 values, expected 1 times 1"));
  Page diagram("t");
  diagram.add(Diagram{.id = "d", .title = "", .nodes = {{"a", "", 0}}, .edges = {{0, 1}}});
  CHECK_THROWS_WITH(diagram.check(), contains("from node 0 to node 1 of 1"));
  Page twice("t");
  twice.add(LineChart{.id = "x", .title = "", .x_label = "", .y_label = ""});
  twice.add(BarChart{.id = "x", .title = "", .x_label = ""});
  CHECK_THROWS_WITH(twice.check(), contains("two blocks have the id \"x\""));
}

TEST_CASE("page html: hostile text is shown as text and never becomes HTML") {
  const std::string html = page_html(every_block(kHostile));
  CHECK(html.find("<img") == std::string::npos);
  CHECK(html.find("onerror=1>") == std::string::npos);
  CHECK_THAT(html, contains("&lt;/script&gt;&lt;img src=x onerror=1&gt;"));
  CHECK_THAT(html, contains("\\u003c/script\\u003e\\u003cimg"));
  CHECK(escaped("a\x01\xff"
                "b") == "a\\x01\\xffb");
  CHECK(escaped("&<>\"'é") == "&amp;&lt;&gt;&quot;&#39;é");
}

TEST_CASE("page html: tokens without a caption have no empty caption") {
  Page page("t");
  page.add(Tokens{.caption = "", .tokens = {{.text = "deep"}}});
  CHECK(page_html(page).find("<figcaption></figcaption>") == std::string::npos);
  page.add(Tokens{.caption = "words", .tokens = {{.text = "deep"}}});
  CHECK_THAT(page_html(page), contains("<figcaption>words</figcaption>"));
}

TEST_CASE("page html: nothing is loaded from elsewhere") {
  const std::string html = page_html(every_block("x"));
  for (const char* outside : {"http:", "https:", "src=", "@import", "url(h", "url(/", "url(d", "<link"}) {
    INFO(outside);
    // The name space of SVG is a name that looks like an address.
    std::string rest = html;
    const std::string svg = "http://www.w3.org/2000/svg";
    rest.replace(rest.find(svg), svg.size(), "");
    CHECK(rest.find(outside) == std::string::npos);
  }
}

TEST_CASE("page html: a page with every block is valid") {
  const TemporaryDirectory t;
  for (const std::string& text : {std::string("x"), kHostile}) {
    write_text(t / "page.html", page_html(every_block(text)));
    check_html(t / "page.html");
  }
}

TEST_CASE("page json: every number under its name, and numbers that JSON does not have") {
  Page page("t");
  page.given("a", 0.25);
  page.given("b", std::nan(""));
  page.given("c", -std::numeric_limits<double>::infinity());
  const nlohmann::ordered_json json = page_json(page);
  CHECK(json["numbers"]["a"] == 0.25);
  CHECK(json["numbers"]["b"] == "NaN");
  CHECK(json["numbers"]["c"] == "-Infinity");
  CHECK(differences(page, json).empty());
  Page other("t");
  other.given("a", 0.35);
  other.given("d", 1);
  CHECK(differences(other, json) ==
        std::vector<std::string>{"a is 0.2500 in the file, computed now: 0.3500", "d is missing in the file",
                                 "b is only in the file", "c is only in the file"});
}

TEST_CASE("page html: the JSON inside of a page is read back") {
  const Page page = every_block(kHostile);
  const nlohmann::ordered_json json = read_page_json("p", page_html(page));
  CHECK(json["numbers"].size() == page.numbers().size());
  CHECK(differences(page, json).empty());
}

TEST_CASE(
    "page text: lines fit the terminal, colours only where it has them, and control characters are escapes") {
  const Page page = every_block("\33[2J" + kHostile);
  for (const int columns : {40, 80, 200}) {
    const std::string text = page_text(page, {.columns = columns, .redraws = false, .utf8 = false});
    CHECK(text.find('\33') == std::string::npos);
    CHECK(std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; }));
  }
  CHECK_THAT(page_text(every_block("x"), {.columns = 80, .redraws = true, .utf8 = true}), contains("\33[1m"));
  CHECK_THAT(page_text(page, {.columns = 80, .redraws = false, .utf8 = true}), contains("0.2500"));
}

TEST_CASE("pages: a page with every block works in a browser, also with hostile text", "[.][pages]") {
  const TemporaryDirectory t;
  for (const std::string& text : {std::string("x"), kHostile}) {
    write_text(t / "page.html", page_html(every_block(text)));
    const nlohmann::json found = check_in_browser(t / "page.html");
    CHECK(found.at("charts") == 5);
    CHECK(found.at("steps") == 4);
    CHECK(found.at("sliders") == 2);
  }
}

}  // namespace
}  // namespace inkling
