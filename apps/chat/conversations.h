// Conversations and documents from JSONL: a text file with one JSON object on each line. Four forms are read:
//
//   OpenAI    {"messages": [{"role": "system"|"user"|"assistant", "content": TEXT}, ...]}
//   ShareGPT  {"conversations": [{"from": "system"|"human"|"gpt", "value": TEXT}, ...]}
//   Alpaca    {"instruction": TEXT, "input": TEXT (may be empty or missing), "output": TEXT}
//   document  {"text": TEXT}
//
// Other keys are ignored. A file may begin with a byte-order mark, have CRLF line ends, have blank lines, and
// lack the last line end.
//
// A conversation has at least one assistant's turn, no turn without text, and no two turns of the same role
// after each other; a system turn, if there is one, comes first. A line is bad if it breaks one of these
// rules, is in none of the four forms, is not JSON, has invalid UTF-8 or a lone surrogate, is longer than 16
// MiB, or is nested deeper than 64 levels. A bad line is reported with file, line and reason. It is skipped,
// or, if the reader is strict, it is an error.
//
// This file does not know tokens. Read next: chat_template.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace inkling {

enum class Role { system, user, assistant };

struct Turn {
  Role role;
  std::string text;
  bool operator==(const Turn&) const = default;
};

struct Conversation {
  std::vector<Turn> turns;
  bool operator==(const Conversation&) const = default;
};

struct Document {
  std::string text;
  bool operator==(const Document&) const = default;
};

using JsonlEntry = std::variant<Conversation, Document>;

constexpr std::size_t kMostLineBytes = std::size_t{16} << 20;
constexpr int kMostLineLevels = 64;

// Parses one line. Error, which gives only the reason, if the line is bad.
JsonlEntry parse_jsonl_line(std::string_view line);

// The conversation as one line in OpenAI's form, with its line end. Bytes that are not
// UTF-8 become U+FFFD.
std::string to_jsonl(const Conversation& conversation);

class JsonlReader {
 public:
  enum class BadLines { skip, fail };
  enum class Documents { use, refuse };  // refuse: the line of a document is bad, because a conversation is expected
  using Use = std::function<void(JsonlEntry&&, std::int64_t line)>;  // `line` counts from 1
  using Report = std::function<void(const std::string&)>;

  // Calls `use` for each entry, and `report` with a message for each bad line that is skipped: "chats.jsonl:
  // line 7: turns 2 and 3 are both user turns, ...". `name` is the file's name, for messages.
  JsonlReader(std::string name, BadLines bad_lines, Use use, Report report,
              Documents documents = Documents::use);

  // Gives the reader the next bytes of the file, cut at any place. Stores at most one line.
  void feed(std::string_view bytes);
  // Call this after the last bytes. Error if the file has no entry: the message has the first bad line.
  void end();

  std::int64_t conversations() const { return conversations_; }
  std::int64_t documents() const { return documents_; }
  std::int64_t bad_lines() const { return bad_; }

 private:
  void read_line();
  void refuse_line(const std::string& reason);

  std::string name_;
  BadLines mode_;
  Documents document_mode_;
  Use use_;
  Report report_;
  std::string line_;         // the bytes of the current line so far, at most kMostLineBytes + 1
  std::int64_t number_ = 1;  // of the current line, from 1
  std::int64_t conversations_ = 0, documents_ = 0, bad_ = 0;
  std::string first_bad_;
};

// Reads a whole file; "-" is standard input. Messages call the file `name`; if that is empty, they say its path.
// Returns the reader, for its counts. Error if nothing is left, or if the file is evidently not text.
JsonlReader read_jsonl(const std::string& path, JsonlReader::BadLines bad_lines, JsonlReader::Use use,
                       JsonlReader::Report report, std::string name = "",
                       JsonlReader::Documents documents = JsonlReader::Documents::use);

}  // namespace inkling
