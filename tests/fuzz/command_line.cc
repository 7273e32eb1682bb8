#include "apps/command_line.h"

#include <sstream>
#include <vector>

#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

// A zero byte ends an argument, so the rest of the line after a zero byte is left out.
void command_line(Bytes bytes) {
  std::vector<std::string> words = {"inkling"};
  std::istringstream lines{std::string(as_text(bytes))};
  for (std::string line; std::getline(lines, line);) words.emplace_back(line.c_str());
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  accepted([&] {
    require(parse_command_line(static_cast<int>(argv.size()), argv.data()) != nullptr,
            "command line: gives a command to run");
  });
}

}  // namespace inkling::fuzz
