// Prepares text for training: writes training shards, validation shards, and the tokenizer.
//
// The texts are read twice, in parts (documents.h), so they may be larger than the memory. The first reading
// counts documents and bytes and, if a tokenizer is to be trained, the pieces that it is trained on
// (bpe_training.h). The second reading encodes them on all threads. An end-of-text token is written before
// each document.
//
// Conversations (apps/chat/conversations.h) become packed shards with a loss mask: only the assistant's
// tokens count as targets (apps/chat/packing.h). Documents among conversations are in the same rows, and all
// their tokens count (apps/chat/row_entries.h).
//
// Validation: the model never trains on the validation shards, so the loss on them shows whether the model
// learns or only memorises. If there are at least 100 documents, each document is in training or in
// validation according to a hash of its first part: the same document is always on the same side, even if
// other documents are added. If there are fewer documents, the last part of the text is for validation.
// Conversations, and documents among them, are split in the same way; if there are fewer than 100, the last
// conversations are for validation.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/chat/row_entries.h"
#include "apps/tokenizer/tokenizer.h"

namespace inkling {

struct TokenizeSettings {
  // Texts, files of JSON lines (inputs.h) and directories of them; "-" is standard input.
  std::vector<std::string> inputs;
  bool jsonl = false;   // all inputs are JSON lines, whatever their names
  bool strict = false;  // a bad line of JSON is an error; otherwise it is skipped
  std::function<void(const std::string& message)> report_bad_line;
  std::string out;  // the files are <out>_train.bin, <out>_val.bin, <out>_tokenizer.bin
  // An existing tokenizer: a file or a directory. If empty, the byte tokenizer is used (`bytes`), or a
  // tokenizer is trained on the text.
  std::string tokenizer_path;
  bool bytes = false;
  std::int32_t vocab_size = 0;  // of the trained tokenizer; 0: suited to the size of the text
  std::string hf_directory;  // if not empty, the tokenizer is also written here, as vocab.json and merges.txt
  double val_fraction = 0.1;  // 0: no validation shard
  // The minimum number of tokens of the validation shard, but never more than half of the text. For small
  // texts it is more than val_fraction. It allows at least one batch of the default size, B=8 and T=256.
  std::int64_t min_val_tokens = 2049;
  // If not 0: the maximum number of tokens in a shard. The shards are then named <out>_train_000001.bin and
  // so on.
  std::int64_t shard_tokens = 0;
  std::int64_t seq_len = 256;  // T: conversations are packed in rows of T tokens
  // Called from time to time with the number of bytes read, of all that will be read.
  std::function<void(std::int64_t read, std::int64_t total)> progress;

  void report(std::int64_t read, std::int64_t total) const {
    if (progress) progress(read, total);
  }
};

struct TokenizeResult {
  std::vector<std::string> train_paths, val_paths;
  std::string tokenizer_path;
  std::int64_t documents = 0, conversations = 0, text_bytes = 0, train_tokens = 0, val_tokens = 0;
  std::int64_t bad_lines = 0;       // lines of JSON that were skipped
  EntryCounts entries;              // of the rows, if there are conversations
  std::int64_t counted_tokens = 0;  // tokens of the rows that count as targets
  std::int64_t inline_separators = 0;  // how often <|endoftext|> is inside a line, where it is ordinary text
  std::string not_utf8;                // "FILE: byte N", the first bytes that are not UTF-8, if there are any
  bool split_by_document = false;      // otherwise the last part of the text is for validation
  std::int32_t vocab_size = 0;
  bool no_pair_left = false;  // training ended with fewer tokens than wanted
  bool sampled_pieces = false;  // the tokenizer was trained on a sample of the rare pieces (bpe_training.h)
};

// Tokenizes texts. Error if a text cannot be encoded or is too short for two shards. No file is written
// before everything is encoded.
TokenizeResult tokenize_files(const TokenizeSettings& settings);

}  // namespace inkling
