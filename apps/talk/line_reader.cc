#include "apps/talk/line_reader.h"

#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "core/error.h"

namespace inkling {

// Moves the first line of the buffer to `line`. Returns false if the buffer has no complete line.
bool LineReader::take_line(std::string& line) {
  const std::size_t end = buffer_.find('\n');
  if (end == std::string::npos && !(ended_ && !buffer_.empty())) return false;
  line = buffer_.substr(0, end);
  buffer_.erase(0, end == std::string::npos ? end : end + 1);
  if (line.ends_with('\r')) line.pop_back();
  return true;
}

bool LineReader::forget_signals() {
  char bytes[64];
  bool some = false;
  while (read(wake_fd_, bytes, sizeof bytes) > 0) some = true;
  return some;
}

LineReader::Result LineReader::next(std::string& line) {
  for (;;) {
    if (take_line(line)) {
      if (!std::exchange(skipping_, false) && line.size() <= most_bytes_) return Result::line;
      fail("the line is too long, expected at most ", most_bytes_, " bytes");
    }
    if (ended_) return Result::end;
    if (buffer_.size() > most_bytes_) {
      skipping_ = true;
      buffer_.clear();
    }
    pollfd either[] = {{fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
    if (poll(either, 2, -1) < 0 && errno != EINTR) fail("cannot wait for stdin: ", std::strerror(errno));
    if (forget_signals()) {
      buffer_.clear();
      return Result::interrupted;
    }
    if (either[0].revents == 0) continue;
    char bytes[4096];
    const ssize_t count = read(fd_, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("cannot read stdin: ", std::strerror(errno));
    buffer_.append(bytes, static_cast<std::size_t>(count));
    ended_ = count == 0;
  }
}

}  // namespace inkling
