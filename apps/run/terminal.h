// What a terminal can show, and what a file or a pipe can hold. A terminal may be resized at any time, so ask
// again before each line.
#pragma once

namespace inkling {

struct Terminal {
  int columns = 0;       // characters in a line; 0: a file or a pipe, where lines may have any length
  bool redraws = false;  // true: a line can be erased and drawn again, with escape codes
  bool utf8 = false;     // true: characters outside ASCII can be printed
};

// `fd` is STDOUT_FILENO or STDERR_FILENO. A terminal whose TERM is "dumb" or not set gets no escape codes,
// and no terminal gets them if NO_COLOR (https://no-color.org) is set. The locale of the environment (LC_ALL,
// LC_CTYPE or LANG) decides about UTF-8.
Terminal terminal(int fd);

}  // namespace inkling
