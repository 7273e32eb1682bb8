#include "apps/tokenize/inputs.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "core/error.h"

namespace inkling {

// Standard input can be read only once, so it is copied into a file beside the output. The destructor removes
// the file.
class Inputs::SpooledInput {
 public:
  explicit SpooledInput(const std::string& prefix) : path_(prefix + "_input_XXXXXX") {
    const int file = mkstemp(path_.data());
    if (file < 0) fail(path_, ": cannot create a temporary file for standard input: ", std::strerror(errno));
    close(file);
    std::ofstream copy(path_, std::ios::binary);
    if (std::cin.peek() != std::char_traits<char>::eof()) copy << std::cin.rdbuf();
    if (!copy.flush()) {
      std::filesystem::remove(path_);
      fail(path_, ": cannot write standard input to this file");
    }
  }
  ~SpooledInput() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  SpooledInput(const SpooledInput&) = delete;
  SpooledInput& operator=(const SpooledInput&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Inputs::Inputs(Settings settings) : settings_(std::move(settings)) {
  std::vector<std::string> paths = settings_.paths;
  for (std::string& path : paths) {
    if (path != "-") continue;
    if (standard_input_) fail("tokenize: standard input is given twice, expected once");
    standard_input_ = std::make_unique<SpooledInput>(settings_.spool_prefix);
    path = standard_input_->path();
  }
  for (const std::string& path : find_text_files(paths)) {
    const bool spooled = standard_input_ && path == standard_input_->path();
    const bool jsonl = settings_.jsonl || (!spooled && std::filesystem::path(path).extension() == ".jsonl");
    files_.push_back({path, spooled ? "standard input" : path, jsonl});
    std::error_code unknown;
    const auto size = std::filesystem::file_size(path, unknown);
    if (!unknown) bytes_ += static_cast<std::int64_t>(size);
  }
}

Inputs::~Inputs() = default;

void Inputs::read_entries(const File& file, const UseDocument& use_document,
                          const UseConversation& use_conversation) {
  const JsonlReader::Report report = [&](const std::string& message) {
    if (reported_) return;
    ++bad_lines_;
    if (settings_.report) settings_.report(message);
  };
  read_jsonl(
      file.path, settings_.bad_lines,
      [&](JsonlEntry&& entry, std::int64_t line) {
        const std::string name = str(file.name, ": line ", line);
        if (const auto* conversation = std::get_if<Conversation>(&entry))
          use_conversation(name, *conversation);
        else
          use_document(name, {.text = std::get<Document>(entry).text, .begins = true, .ends = true});
      },
      report, file.name);
}

void Inputs::for_each(const UseDocument& use_document, const UseConversation& use_conversation) {
  DocumentPart part;
  for (const File& file : files_) {
    if (file.jsonl) {
      read_entries(file, use_document, use_conversation);
    } else {
      DocumentReader reader(file.path, DocumentReader::kPart, DocumentReader::kLongestPart, file.name);
      while (reader.next(part)) use_document(file.name, part);
    }
  }
  reported_ = true;
}

}  // namespace inkling
