// The line of source code that each number of a page names: it must still compute the number.
#pragma once

#include <cctype>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling::test {

inline std::string line_of(const std::string& file, int line) {
  std::ifstream in(file);
  std::string text;
  for (int n = 0; n < line; ++n) {
    if (!std::getline(in, text)) return "";
  }
  return text;
}

inline std::string without_spaces(const std::string& text) {
  std::string kept;
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) == 0) kept += c;
  }
  return kept;
}

// The expression of a COMPUTED(...) may be broken into lines by the formatter.
inline std::string lines_from(const std::string& file, int line) {
  std::string text;
  for (int n = line; n < line + 6; ++n) text += line_of(file, n);
  return without_spaces(text);
}

// Checks the "details" of a page's JSON.
template <class Json>
void check_source_lines(const Json& details) {
  for (const auto& [name, detail] : details.items()) {
    const std::string file = detail.at("file"), code = detail.at("code");
    INFO(name << " " << file << ":" << detail.at("line"));
    const std::string text = lines_from(file, detail.at("line"));
    if (code == "given") {
      CHECK_THAT(text, contains("given("));
    } else {
      CHECK_THAT(text, contains("COMPUTED(" + without_spaces(code) + ")"));
    }
    if (!detail.contains("engine")) continue;
    const std::string engine = detail["engine"];
    const std::size_t in = engine.find(" in ");
    REQUIRE(in != std::string::npos);
    CHECK_THAT(read_text(engine.substr(in + 4)), contains(engine.substr(0, in) + "("));
  }
}

}  // namespace inkling::test
