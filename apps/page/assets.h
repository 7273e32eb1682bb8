// The style sheet and the scripts of a page. They are files of the source tree, which the assembler puts into
// the program.
#pragma once

#include <string_view>

namespace inkling::page {

std::string_view style_sheet();   // page.css
std::string_view chart_script();  // charts.js: draws the charts
std::string_view page_script();   // page.js: numbers, steps, sliders, colours

}  // namespace inkling::page
