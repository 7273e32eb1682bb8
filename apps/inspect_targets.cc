#include "apps/inspect_targets.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <optional>

#include "apps/chat/chat_template.h"
#include "apps/run/format.h"
#include "apps/text/data_shard.h"
#include "apps/token_text.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"

namespace inkling {

namespace {

// One line of the table: a token, the next token, and whether that counts as a target.
struct Line {
  std::int64_t position;
  bool begins_document;
  std::int32_t token, target;
  bool counts;
};

// Prints lines in columns. On a terminal, targets that count are green, the others are grey.
class TargetTable {
 public:
  explicit TargetTable(const Tokenizer* tokenizer)
      : tokenizer_(tokenizer), screen_(terminal(STDOUT_FILENO)) {}

  void add(const Line& line) { lines_.push_back(line); }

  void print() const {
    std::size_t columns = 6;  // of the word "target"
    for (const Line& line : lines_)
      columns = std::max({columns, width_of(text(line.token)), width_of(text(line.target))});
    std::cout << "position  " << padded_right("token", columns) << "  " << padded_right("target", columns)
              << "  counts\n";
    for (const Line& line : lines_) {
      if (line.begins_document) std::cout << "--------  a document begins\n";
      std::cout << padded_left(std::to_string(line.position), 8) << "  "
                << padded_right(text(line.token), columns) << "  "
                << (screen_.redraws ? line.counts ? "\33[32m" : "\33[90m" : "")
                << padded_right(text(line.target), columns) << (line.counts ? "  yes" : "  no")
                << (screen_.redraws ? "\33[0m" : "") << "\n";
    }
  }

  void print_summary() const {
    const auto counted = std::count_if(lines_.begin(), lines_.end(), [](const Line& l) { return l.counts; });
    std::cout << format_count(counted) << " of these " << format_count(std::ssize(lines_))
              << " targets count\n";
  }

 private:
  std::string text(std::int32_t id) const {
    if (tokenizer_ == nullptr) return std::to_string(id);
    if (id == tokenizer_->end_of_text()) return std::string(kEndOfTextBytes);
    return quoted_token(screen_, tokenizer_->token(id));
  }

  const Tokenizer* tokenizer_;
  Terminal screen_;
  std::vector<Line> lines_;
};

ChatTokens encode(const JsonlEntry& entry, const Tokenizer& tokenizer, ChatTemplate& chat_template) {
  if (const auto* conversation = std::get_if<Conversation>(&entry)) return chat_template.encode(*conversation);
  ChatTokens tokens{{tokenizer.end_of_text()}, {}};
  for (const std::int32_t id : tokenizer.encode(std::get<Document>(entry).text)) tokens.ids.push_back(id);
  tokens.counted.assign(tokens.ids.size(), 1);
  return tokens;
}

}  // namespace

void print_shard_targets(const std::string& path, const ShownTargets& shown) {
  const DataShard shard(path, LossMask::use);
  const std::optional<Tokenizer> tokenizer = find_tokenizer(shown.tokenizer, path);
  if (tokenizer) shard.tokens().check_tokens(tokenizer->vocab_size());
  if (shown.first >= shard.size() - 1)
    fail(path, ": --from is ", shown.first, ", expected at most ", shard.size() - 2,
         ", the last position with a target");
  TargetTable table(tokenizer ? &*tokenizer : nullptr);
  const std::int32_t end_of_text = tokenizer ? tokenizer->end_of_text() : -1;
  const std::int64_t end = std::min(shown.first + shown.count, shard.size() - 1);
  for (std::int64_t i = shown.first; i < end; ++i) {
    table.add({i, shard.begins_document(i, end_of_text), shard.tokens()[i], shard.tokens()[i + 1],
               shard.counts(i + 1)});
  }
  table.print();
  table.print_summary();
}

void print_jsonl_targets(const std::string& path, const ShownTargets& shown) {
  if (shown.tokenizer.empty()) fail(path, ": --tokenizer is missing, expected the tokenizer of the model");
  const Tokenizer tokenizer = Tokenizer::read(shown.tokenizer);
  ChatTemplate chat_template(tokenizer);
  TargetTable table(&tokenizer);
  std::int64_t position = 0;  // of all entries, one after another
  const auto use = [&](JsonlEntry&& entry, std::int64_t line) {
    if (position >= shown.first + shown.count) return;
    ChatTokens tokens;
    try {
      tokens = encode(entry, tokenizer, chat_template);
    } catch (const Error& error) {
      fail(path, ": line ", line, ": ", error.what());
    }
    for (std::size_t i = 0; i + 1 < tokens.ids.size(); ++i, ++position) {
      if (position < shown.first || position >= shown.first + shown.count) continue;
      table.add({position, i == 0, tokens.ids[i], tokens.ids[i + 1], tokens.counted[i + 1] != 0});
    }
  };
  read_jsonl(path, JsonlReader::BadLines::fail, use, [](const std::string&) {});
  if (position <= shown.first)
    fail(path, ": --from is ", shown.first, ", expected at most ", position - 1,
         ", the last position with a target");
  table.print();
  table.print_summary();
}

}  // namespace inkling
