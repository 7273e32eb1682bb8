// Inputs: the files that `inkling tokenize` reads, as documents or as conversations.
//
// Files whose names end with .jsonl have a JSON object on each line (apps/chat/conversations.h): a document
// or a conversation. All other files are texts (documents.h). Documents and conversations become shards of
// different kinds, so they are not mixed. This file knows no tokens.
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

  // Finds the files, and looks at the first entry of each JSONL file. Error if a path does not exist, or if
  // some inputs have conversations and others documents.
  explicit Inputs(Settings settings);
  ~Inputs();

  // Whether the inputs have conversations, not documents.
  bool conversations() const { return conversations_; }
  std::int64_t bytes() const { return bytes_; }  // the size of all files
  std::int64_t bad_lines() const { return bad_lines_; }

  // Both functions read all files. They can be called again; bad lines are counted and reported only the
  // first time. `name` is a file's name for messages, with the line in a JSONL file.
  void for_each_document(const std::function<void(const std::string& name, const DocumentPart& part)>& use);
  void for_each_conversation(
      const std::function<void(const std::string& name, const Conversation& conversation)>& use);

 private:
  class SpooledInput;
  struct File {
    std::string path, name;
    bool jsonl;
  };

  void check_kinds();
  void read_entries(const File& file,
                    const std::function<void(const std::string& name, const JsonlEntry& entry)>& use);

  Settings settings_;
  std::unique_ptr<SpooledInput> standard_input_;
  std::vector<File> files_;
  bool conversations_ = false, reported_ = false;
  std::int64_t bytes_ = 0, bad_lines_ = 0;
};

}  // namespace inkling
