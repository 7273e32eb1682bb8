#include "apps/run/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <string>

namespace inkling {

namespace {

constexpr int kUsualColumns = 80;  // of a terminal that does not know its width

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// POSIX: the first of these variables that is not empty sets the locale of characters.
bool locale_is_utf8() {
  std::string locale;
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    if (locale.empty()) locale = environment(name);
  }
  std::transform(locale.begin(), locale.end(), locale.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return locale.find("utf-8") != std::string::npos || locale.find("utf8") != std::string::npos;
}

}  // namespace

Terminal terminal(int fd) {
  Terminal terminal;
  terminal.utf8 = locale_is_utf8();
  if (isatty(fd) == 0) return terminal;
  winsize size = {};
  const bool known = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  terminal.columns = known ? size.ws_col : kUsualColumns;
  const std::string type = environment("TERM");
  terminal.redraws = !type.empty() && type != "dumb" && environment("NO_COLOR").empty();
  return terminal;
}

}  // namespace inkling
