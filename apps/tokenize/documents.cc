#include "apps/tokenize/documents.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "apps/text/file_kind.h"
#include "apps/tokenizer/pieces.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr std::size_t kSeparatorLine = kSeparator.size() + 2;  // with the line end, \r\n

bool is_hidden(const std::filesystem::path& path) {
  return path.filename().string().starts_with('.');
}

std::vector<std::string> files_below(const std::string& directory) {
  std::vector<std::string> files;
  auto entry = std::filesystem::recursive_directory_iterator(directory);
  for (; entry != std::filesystem::recursive_directory_iterator(); ++entry) {
    if (is_hidden(entry->path())) {
      if (entry->is_directory()) entry.disable_recursion_pending();
    } else if (entry->is_regular_file()) {
      files.push_back(entry->path().string());
    }
  }
  if (files.empty()) fail(directory, ": the directory has no files, expected text files");
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::vector<std::string> find_text_files(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const std::string& path : paths) {
    if (std::filesystem::is_directory(path)) {
      const auto below = files_below(path);
      files.insert(files.end(), below.begin(), below.end());
    } else {
      files.push_back(path);
    }
  }
  return files;
}

DocumentReader::DocumentReader(const std::string& path, std::size_t part_bytes, std::size_t longest_part,
                               const std::string& name)
    : name_(name.empty() ? path : name), part_bytes_(part_bytes), longest_part_(longest_part) {
  file_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file_ < 0) fail(name_, ": cannot open: ", std::strerror(errno));
  try {
    refill(part_bytes_);
    expect_text(name_, buffer_);
  } catch (...) {
    close(file_);
    throw;
  }
  if (buffer_.starts_with("\xef\xbb\xbf")) at_ = 3;
}

DocumentReader::~DocumentReader() {
  close(file_);
}

// Removes the bytes that were returned already, and reads until the buffer has `wanted` bytes or the file
// ends.
void DocumentReader::refill(std::size_t wanted) {
  buffer_.erase(0, at_);
  buffer_begins_ += static_cast<std::int64_t>(at_);
  at_ = 0;
  while (!at_end_ && buffer_.size() < wanted) {
    const std::size_t size = buffer_.size();
    buffer_.resize(wanted);
    const ssize_t n = read(file_, buffer_.data() + size, wanted - size);
    const int error = errno;
    buffer_.resize(size + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    if (n < 0 && error != EINTR) fail(name_, ": cannot read: ", std::strerror(error));
    at_end_ = n == 0;
  }
}

// Finds the next line of the buffer that contains only a separator. A line at the end of the buffer may
// continue in the file, unless the file ends there.
bool DocumentReader::find_separator(Separator& separator) const {
  for (std::size_t from = at_;;) {
    const std::size_t line = buffer_.find(kSeparator, from);
    if (line == std::string::npos) return false;
    from = line + 1;
    const bool begins = line == at_ ? line_begins_ : buffer_[line - 1] == '\n';
    std::size_t end = line + kSeparator.size();
    if (end < buffer_.size() && buffer_[end] == '\r') ++end;
    if (!begins) continue;
    if (end == buffer_.size() && at_end_) {
      separator = {line, end};
      return true;
    }
    if (end < buffer_.size() && buffer_[end] == '\n') {
      separator = {line, end + 1};
      return true;
    }
  }
}

// Returns where the buffer can be cut, or 0. The end of the buffer stays, because it may be the beginning of
// a separator line.
std::size_t DocumentReader::find_cut() const {
  if (buffer_.size() <= kSeparatorLine + 1) return 0;
  const std::size_t end = buffer_.size() - kSeparatorLine - 1;
  if (const std::size_t cut = cut_before(buffer_, end); cut > 0) return cut;
  if (buffer_.size() < longest_part_) return 0;
  return std::max<std::size_t>(character_start(buffer_, end), 1);
}

bool DocumentReader::next(DocumentPart& part) {
  for (;;) {
    if (buffer_.size() - at_ < part_bytes_) refill(part_bytes_);
    Separator separator = {};
    std::size_t end = 0, after = 0;
    const bool separated = find_separator(separator);
    if (separated) {
      end = separator.line, after = separator.after;
    } else if (at_end_) {
      end = after = buffer_.size();
    } else {
      refill(std::max(buffer_.size() - at_, part_bytes_));
      end = after = find_cut();
      if (end == 0) {
        refill(2 * buffer_.size());
        continue;
      }
    }
    part = {.text = std::string_view(buffer_).substr(at_, end - at_),
            .begins = document_begins_,
            .ends = separated || (at_end_ && after == buffer_.size()),
            .at = buffer_begins_ + static_cast<std::int64_t>(at_)};
    line_begins_ = separated;
    document_begins_ = separated || (document_begins_ && part.text.empty());
    at_ = after;
    if (!part.text.empty()) return true;
    if (at_end_ && at_ == buffer_.size()) return false;
  }
}

}  // namespace inkling
