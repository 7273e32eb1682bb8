// A page as one HTML file: style sheet, scripts and numbers are inside, nothing is loaded from elsewhere.
//
// The file is readable without its scripts: text, tables and the data of each chart are HTML. The scripts
// (charts.js, page.js) draw the charts from the embedded JSON, explain a number when it is hovered or
// focused, and run the steps and sliders. All text is escaped: a token such as </script><img src=x> is shown
// as text and never becomes a part of the HTML.
#pragma once

#include <string>
#include <string_view>

#include "apps/page/page.h"

namespace inkling::page {

std::string page_html(const Page& page);

// Text with & < > " and ' as character references. Bytes that are not UTF-8, and control characters, are
// shown as escapes such as \x1b.
std::string escaped(std::string_view text);

}  // namespace inkling::page
