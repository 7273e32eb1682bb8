// Inputs: the files that `inkling tokenize` reads: documents and conversations.
//
// Files whose names end with .jsonl have a JSON object on each line (apps/chat/conversations.h): a document
// or a conversation. All other files are texts (documents.h). This file knows no tokens.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/chat/conversations.h"
#include "apps/tokenize/documents.h"

namespace inkling {

class Inputs {
 public:
  struct Settings {
    std::vector<std::string> paths;  // files and directories; "-" is standard input
    bool jsonl = false;              // every file is JSONL, whatever its name
    std::string spool_prefix;        // standard input is copied to a file whose name begins like this
    JsonlReader::BadLines bad_lines = JsonlReader::BadLines::skip;
    JsonlReader::Report report;  // receives a message for each line that is skipped
  };

  // Finds the files. Error if a path does not exist.
  explicit Inputs(Settings settings);
  ~Inputs();

  std::int64_t bytes() const { return bytes_; }  // the size of all files
  std::int64_t bad_lines() const { return bad_lines_; }

  // `name` is a file's name for messages, with the line in a JSONL file.
  using UseDocument = std::function<void(const std::string& name, const DocumentPart& part)>;
  using UseConversation = std::function<void(const std::string& name, const Conversation& conversation)>;
  // Reads all files. It can be called again; bad lines are counted and reported only the first time.
  void for_each(const UseDocument& use_document, const UseConversation& use_conversation);

 private:
  class SpooledInput;
  struct File {
    std::string path, name;
    bool jsonl;
  };

  void read_entries(const File& file, const UseDocument& use_document,
                    const UseConversation& use_conversation);

  Settings settings_;
  std::unique_ptr<SpooledInput> standard_input_;
  std::vector<File> files_;
  bool reported_ = false;
  std::int64_t bytes_ = 0, bad_lines_ = 0;
};

}  // namespace inkling
