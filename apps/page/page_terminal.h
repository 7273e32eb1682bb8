// A page as text for a terminal or a file: paragraphs in lines, tables, small charts.
//
// Colours are used only if the terminal has colours. Without UTF-8, charts are ASCII. Sliders are left out;
// the text says that the page in a browser has them.
#pragma once

#include <string>

#include "apps/page/page.h"
#include "apps/run/terminal.h"

namespace inkling::page {

std::string page_text(const Page& page, const Terminal& terminal);

}  // namespace inkling::page
