// Documents: reads texts of any size, document by document, in parts that fit in memory.
//
// The text is bytes, normally UTF-8. A byte-order mark at the beginning of a file is left out; UTF-16, UTF-32
// and files that are evidently not text are refused (apps/text/file_kind.h). Lines that contain only
// <|endoftext|> separate documents; a file without such a line is one document. A long document comes in
// several parts, which are cut where the tokens do not depend on the cut (cut_before() of pieces.h). A text
// without such a place within 16 MiB is cut anywhere. This file knows no tokens.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace inkling {

inline constexpr std::string_view kSeparator = "<|endoftext|>";  // between documents, on a line of its own

// Makes the list of files to read. A directory is replaced by all files below it, in the order of their
// names, without hidden files. Error if a path does not exist, or if a directory has no file.
std::vector<std::string> find_text_files(const std::vector<std::string>& paths);

struct DocumentPart {
  std::string_view text;  // valid until the next call of next()
  bool begins = false;    // whether this is the first part of its document
  bool ends = false;      // whether this is the last part of its document
  std::int64_t at = 0;    // the position of the text in its file, in bytes
};

// Reads one file. Only one thread at a time may use a DocumentReader.
class DocumentReader {
 public:
  static constexpr std::size_t kPart = std::size_t{4} << 20;  // parts have about this many bytes
  static constexpr std::size_t kLongestPart = std::size_t{16} << 20;

  // Opens a file. Error if it cannot be read, or is not text. Errors call the file `name`; if that is empty,
  // they say its path.
  explicit DocumentReader(const std::string& path, std::size_t part_bytes = kPart,
                          std::size_t longest_part = kLongestPart, const std::string& name = "");
  ~DocumentReader();
  DocumentReader(const DocumentReader&) = delete;
  DocumentReader& operator=(const DocumentReader&) = delete;

  // Reads the next part. Returns false at the end of the file. Documents without text are left out.
  bool next(DocumentPart& part);

 private:
  struct Separator {
    std::size_t line, after;  // where the line begins, and where the next line begins
  };

  void refill(std::size_t wanted);
  bool find_separator(Separator& separator) const;
  std::size_t find_cut() const;

  std::string name_;
  std::size_t part_bytes_, longest_part_;
  int file_ = -1;
  std::string buffer_;
  std::size_t at_ = 0;              // the first byte of buffer_ that was not given out
  std::int64_t buffer_begins_ = 0;  // the position of buffer_ in the file
  bool at_end_ = false;             // the buffer ends at the end of the file
  bool line_begins_ = true;         // a line begins at at_
  bool document_begins_ = true;     // a document begins at at_
};

}  // namespace inkling
