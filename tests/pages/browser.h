// Opens a page in a headless browser, as a phone and as a desktop, light and dark, and uses it: focuses
// numbers, goes through steps, moves sliders (driver.js). Works for any page of apps/page.
//
// The browser opens a wrapper page that has the page in two frames. The driver writes its findings into the
// wrapper's DOM, which the browser prints. Messages of the page's console are in the browser's log.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling::test {

// Whether a shell finds this program.
inline bool is_installed(const std::string& program) {
  return std::system(("command -v " + program + " >/dev/null 2>&1").c_str()) == 0;
}

struct Findings {
  nlohmann::json frames;  // one for each width, as in driver.js
  std::vector<std::string>
      console;  // what the page wrote to its console: errors, and what its policy forbade
};

inline std::vector<std::string> console_lines(const std::string& log) {
  std::vector<std::string> lines;
  std::istringstream all(log);
  for (std::string line; std::getline(all, line);) {
    if (line.find("CONSOLE") != std::string::npos) lines.push_back(line);
  }
  return lines;
}

// Skips the test if there is no browser.
inline Findings use_in_browser(const std::string& page, bool dark) {
  if (!is_installed("chromium")) skip("no chromium: install it with make deps-pages");
  const TemporaryDirectory t;
  const std::string url = "file://" + std::filesystem::absolute(page).string();
  std::string wrapper = "<!DOCTYPE html><meta charset=utf-8><body style='margin:0'>";
  for (const char* width : {"390", "1440"})
    wrapper += "<iframe src='" + url + "' style='border:0;height:900px;width:" + width + "px'></iframe>";
  wrapper += "<script>" + read_text("tests/pages/driver.js") + "</script>";
  write_text(t / "wrapper.html", wrapper);
  const std::string command =
      "timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars "
      "--allow-file-access-from-files "
      "--window-size=1500,1000 --enable-logging=stderr --virtual-time-budget=60000 "
      "--blink-settings=preferredColorScheme=" +
      std::string(dark ? "0" : "1") + " --user-data-dir='" + (t / "profile") + "' --dump-dom 'file://" +
      (t / "wrapper.html") + "' >'" + (t / "dom") + "' 2>'" + (t / "log") + "'";
  const int status = std::system(command.c_str());
  INFO(command);
  REQUIRE(status == 0);
  const std::string dom = read_text(t / "dom"), start = "<pre id=\"findings\">";
  const std::size_t begin = dom.find(start), end = dom.find("</pre>", begin);
  INFO(read_text(t / "log"));
  REQUIRE(begin != std::string::npos);
  std::string text = dom.substr(begin + start.size(), end - begin - start.size());
  for (const auto& [reference, character] :
       {std::pair{"&lt;", "<"}, std::pair{"&gt;", ">"}, std::pair{"&amp;", "&"}}) {
    for (std::size_t at = text.find(reference); at != std::string::npos; at = text.find(reference, at + 1))
      text.replace(at, std::string(reference).size(), character);
  }
  return {nlohmann::json::parse(text).at("frames"), console_lines(read_text(t / "log"))};
}

// Checks a page at both widths, light and dark. Returns what was found at the last of them.
inline nlohmann::json check_in_browser(const std::string& page) {
  nlohmann::json last;
  for (const bool dark : {false, true}) {
    const Findings findings = use_in_browser(page, dark);
    INFO(page << (dark ? ", dark" : ", light"));
    CHECK(findings.console == std::vector<std::string>{});
    REQUIRE(findings.frames.size() == 2);
    for (const auto& frame : findings.frames) {
      INFO(frame.dump(1));
      CHECK(frame.at("problems").empty());
      CHECK(frame.value("dark", !dark) == dark);
    }
    CHECK(findings.frames[0].value("width", 0) == 390);
    last = findings.frames[1];
  }
  return last;
}

// Checks that a file is valid HTML. Skips the test if there is no tidy.
inline void check_html(const std::string& page) {
  if (!is_installed("tidy")) skip("no tidy: install it with make deps-pages");
  const TemporaryDirectory t;
  const int status = std::system(("tidy -q -e -utf8 '" + page + "' >'" + (t / "tidy") + "' 2>&1").c_str());
  INFO(page << "\n" << read_text(t / "tidy"));
  CHECK(status == 0);
}

}  // namespace inkling::test
