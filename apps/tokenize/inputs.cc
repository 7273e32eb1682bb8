#include "apps/tokenize/inputs.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>

#include "core/error.h"

namespace inkling {

namespace {

const char* kind_name(bool conversations) {
  return conversations ? "conversations" : "documents";
}

// Returns whether the first good line of a JSONL file is a conversation. Returns no value if the file has no
// good line; the error comes later, when the file is read.
std::optional<bool> begins_with_conversation(const std::string& path) {
  JsonlReader reader(
      path, JsonlReader::BadLines::skip, [](JsonlEntry&&, std::int64_t) {}, [](const std::string&) {});
  std::ifstream file(path, std::ios::binary);
  std::vector<char> buffer(std::size_t{1} << 16);
  while (file && reader.conversations() + reader.documents() == 0) {
    file.read(buffer.data(), std::ssize(buffer));
    reader.feed({buffer.data(), static_cast<std::size_t>(file.gcount())});
    if (!file) reader.feed("\n");  // the last line may have no line end
  }
  if (reader.conversations() + reader.documents() == 0) return std::nullopt;
  return reader.conversations() > 0;
}

}  // namespace

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
  check_kinds();
}

Inputs::~Inputs() = default;

void Inputs::check_kinds() {
  const File* first = nullptr;
  for (const File& file : files_) {
    const std::optional<bool> found = file.jsonl ? begins_with_conversation(file.path) : false;
    if (!found) continue;
    if (first == nullptr) {
      first = &file;
      conversations_ = *found;
    } else if (*found != conversations_) {
      fail(file.name, ": has ", kind_name(*found), ", expected ", kind_name(conversations_), " as in ",
           first->name, "; tokenize them separately, because they become shards of different kinds");
    }
  }
}

void Inputs::read_entries(const File& file,
                          const std::function<void(const std::string&, const JsonlEntry&)>& use) {
  const JsonlReader::Report report = [&](const std::string& message) {
    if (reported_) return;
    ++bad_lines_;
    if (settings_.report) settings_.report(message);
  };
  read_jsonl(
      file.path, settings_.bad_lines,
      [&](JsonlEntry&& entry, std::int64_t line) {
        const std::string name = str(file.name, ": line ", line);
        const bool conversation = std::holds_alternative<Conversation>(entry);
        if (conversation != conversations_) {
          fail(name, ": a ", conversation ? "conversation" : "document", ", expected only ",
               kind_name(conversations_), " as in the first line; tokenize them separately");
        }
        use(name, entry);
      },
      report, file.name);
}

void Inputs::for_each_document(const std::function<void(const std::string&, const DocumentPart&)>& use) {
  DocumentPart part;
  for (const File& file : files_) {
    if (file.jsonl) {
      read_entries(file, [&](const std::string& name, const JsonlEntry& entry) {
        use(name, {.text = std::get<Document>(entry).text, .begins = true});
      });
    } else {
      for (DocumentReader reader(file.path); reader.next(part);) use(file.name, part);
    }
  }
  reported_ = true;
}

void Inputs::for_each_conversation(const std::function<void(const std::string&, const Conversation&)>& use) {
  for (const File& file : files_) {
    read_entries(file, [&](const std::string& name, const JsonlEntry& entry) {
      use(name, std::get<Conversation>(entry));
    });
  }
  reported_ = true;
}

}  // namespace inkling
