#include "apps/page/page_html.h"
#include "apps/run/terminal_text.h"

namespace inkling::page {

namespace {

const char* reference(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return nullptr;
  }
}

}  // namespace

std::string escaped(std::string_view text) {
  // On a terminal with UTF-8, bytes that are not UTF-8 and control characters are shown as \x1b.
  const Terminal careful{.columns = 1, .redraws = false, .utf8 = true};
  std::string html;
  for (const char c : terminal_text(careful, text)) {
    const char* name = reference(c);
    name != nullptr ? html += name : html += c;
  }
  return html;
}

}  // namespace inkling::page
