#include "apps/page/assets.h"

#include "apps/page/embed.h"

EMBED_FILE(inkling_page_css, "apps/page/page.css");
EMBED_FILE(inkling_charts_js, "apps/page/charts.js");
EMBED_FILE(inkling_page_js, "apps/page/page.js");

namespace inkling::page {

std::string_view style_sheet() {
  return inkling_page_css();
}
std::string_view chart_script() {
  return inkling_charts_js();
}
std::string_view page_script() {
  return inkling_page_js();
}

}  // namespace inkling::page
