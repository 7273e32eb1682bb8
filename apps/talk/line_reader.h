// Reads lines from a file descriptor and notices signals. std::getline would not return when a signal
// arrives.
#pragma once

#include <cstddef>
#include <string>

namespace inkling {

class LineReader {
 public:
  enum class Result { line, end, interrupted };

  // Lines may have at most `most_bytes` bytes. `wake_fd` is the reading end of a non-blocking pipe to which a
  // signal handler writes. (A pipe works even if the signal arrives just before the waiting begins.)
  LineReader(int fd, int wake_fd, std::size_t most_bytes)
      : fd_(fd), wake_fd_(wake_fd), most_bytes_(most_bytes) {}

  // Waits for the next line, and sets `line` to it without its line break (\n or \r\n). The last line needs
  // no line break. `interrupted`: a signal arrived, and the line that was being typed is gone. Error for a
  // line that is too long, which is skipped, or if reading fails.
  Result next(std::string& line);

  bool forget_signals();  // empties the pipe of the signal handler; returns whether it had something

 private:
  bool take_line(std::string& line);

  int fd_, wake_fd_;
  std::size_t most_bytes_;
  std::string buffer_;
  bool skipping_ = false;  // in a line that is too long
  bool ended_ = false;
};

}  // namespace inkling
