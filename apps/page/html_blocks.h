// The HTML of a page's blocks. page_html.h puts a whole file around them.
#pragma once

#include <string>
#include <vector>

#include "apps/page/page.h"

namespace inkling::page {

std::string blocks_html(const Page& page, const std::vector<Block>& blocks);

// The HTML of a text with markup.
std::string marked_html(const Page& page, const std::string& text);

}  // namespace inkling::page
