// The numbers of a page as JSON, and the check of a page that was made before.
//
//   {"title": ..., "command": ..., "origin": {...},
//    "numbers": {"softmax.p.we": 0.149436, ...},        every number of the page
//    "details": {"softmax.p.we": {"printed": "0.1494", "formula", "inputs", "file", "line", "code", ...}},
//    "charts":  {"curve": {"series": [{"name", "x", "y"}]}}, ...}
//
// JSON has no infinity and no NaN: they are the strings "Infinity", "-Infinity" and "NaN".
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "apps/page/page.h"

namespace inkling::page {

nlohmann::ordered_json page_json(const Page& page);

// The chart of a block, with all that the script of the page needs to draw it. null for other blocks.
nlohmann::ordered_json chart_json(const Page& page, const Block& block);

// JSON that may stand inside of a <script> element: < > and & are escapes.
std::string script_json(const nlohmann::ordered_json& json);

// Reads the JSON of a page from the text of a .json or .html file that inkling has written. Error if it holds
// no such JSON; the message starts with `path`.
nlohmann::ordered_json read_page_json(const std::string& path, std::string_view text);

// The differences between the numbers of a page and the JSON of an earlier page, one line for each. Numbers
// are compared as they are printed: another instruction set may round the last bits in another way.
std::vector<std::string> differences(const Page& page, const nlohmann::ordered_json& earlier);

}  // namespace inkling::page
