#include "apps/inspect_targets.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <optional>
#include <variant>

#include "apps/bad_lines.h"
#include "apps/chat/row_entries.h"
#include "apps/run/format.h"
#include "apps/text/data_shard.h"
#include "apps/token_text.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"

namespace inkling {

namespace {

// A line of the table: a token, the next token, and whether that counts as a target.
struct Line {
  std::int64_t position;
  std::int32_t token, target;
  bool counts;
};

// Prints lines in columns. On a terminal, targets that count are green, the others are grey.
class TargetTable {
 public:
  explicit TargetTable(const Tokenizer* tokenizer)
      : tokenizer_(tokenizer), screen_(terminal(STDOUT_FILENO)) {}

  // Adds a note between the lines, for example that a document begins.
  void add_note(const std::string& text) { rows_.emplace_back(text); }
  void add(const Line& line) {
    rows_.emplace_back(line);
    ++targets_;
    counted_ += line.counts;
  }

  void print() const {
    const std::size_t columns = token_columns();
    std::cout << "position  " << padded_right("token", columns) << "  " << padded_right("target", columns)
              << "  counts\n";
    for (const auto& row : rows_) {
      if (const auto* note = std::get_if<std::string>(&row))
        std::cout << wrapped("--------  " + *note, screen_, 10) << "\n";
      else
        print(std::get<Line>(row), columns);
    }
  }

  void print_summary() const {
    if (targets_ == 1)
      std::cout << (counted_ == 1 ? "this target counts\n" : "this target does not count\n");
    else
      std::cout << format_count(counted_) << " of these " << format_count(targets_) << " targets "
                << (counted_ == 1 ? "counts\n" : "count\n");
  }

 private:
  void print(const Line& line, std::size_t columns) const {
    std::cout << padded_left(std::to_string(line.position), 8) << "  "
              << padded_right(shortened(text(line.token), columns), columns) << "  "
              << (screen_.redraws ? line.counts ? "\33[32m" : "\33[90m" : "")
              << padded_right(shortened(text(line.target), columns), columns)
              << (line.counts ? "  yes" : "  no") << (screen_.redraws ? "\33[0m" : "") << "\n";
  }

  // The width of the columns with the tokens: that of the longest token, or what a terminal has room for.
  std::size_t token_columns() const {
    std::size_t columns = kLeastTokenColumns;
    for (const auto& row : rows_) {
      const auto* line = std::get_if<Line>(&row);
      if (line != nullptr)
        columns = std::max({columns, width_of(text(line->token)), width_of(text(line->target))});
    }
    return fitting_columns(screen_, columns, 2, 20);  // 20: all else in a line
  }

  std::string text(std::int32_t id) const {
    return tokenizer_ == nullptr ? std::to_string(id) : shown_token(screen_, *tokenizer_, id);
  }

  const Tokenizer* tokenizer_;
  Terminal screen_;
  std::vector<std::variant<std::string, Line>> rows_;
  std::int64_t targets_ = 0, counted_ = 0;
};

// What a JSONL file would teach: its entries one after another, and the counts of the whole file.
class JsonlTargets {
 public:
  // `T` is the length of the rows, or no value if documents are not cut into rows.
  JsonlTargets(const Tokenizer& tokenizer, const ShownTargets& shown, std::optional<std::int64_t> T)
      : tokenizer_(tokenizer), shown_(shown), table_(&tokenizer) {
    if (T) rows_.emplace(tokenizer, *T);
  }

  void add(const Conversation& conversation, std::int64_t line) {
    const ChatTemplate::Fitted fitted = rows_->conversation(conversation);
    const std::string where = str("line ", line, ": ");
    if (!fitted.tokens) {
      note(where + "this conversation is left out, because even its shortest exchange is too long");
      return;
    }
    const std::string without =
        fitted.dropped_turns == 1 ? "oldest turn" : str(format_count(fitted.dropped_turns), " oldest turns");
    add_entry(*fitted.tokens,
              str(where, "a conversation", fitted.dropped_turns > 0 ? str(" without its ", without) : ""));
  }

  void add(const Document& document, std::int64_t line) {
    const std::string where = str("line ", line, ": ");
    if (!rows_) {
      ++documents_;
      ChatTokens tokens{{tokenizer_.end_of_text()}, {}};
      for (const std::int32_t id : tokenizer_.encode(document.text)) tokens.ids.push_back(id);
      tokens.ids.push_back(tokenizer_.end_of_text());  // it begins the next document
      tokens.counted.assign(tokens.ids.size(), 1);
      return add_entry(tokens, where + "a document");
    }
    bool first = true;
    rows_->document(document.text, true, true, [&](ChatTokens&& entry) {
      add_entry(entry, where + (first ? "a document" : "the document goes on in another row"));
      first = false;
    });
  }

  void print(const std::string& path) const {
    EntryCounts counts;
    if (rows_) counts = rows_->counts();
    counts.documents += documents_;
    if (targets_ == 0)
      fail(path, ": nothing is left to learn: ", counts.messages(shown_.seq_len).front(),
           "; try a larger --seq-len");
    if (targets_ <= shown_.first)
      fail(path, ": --from is ", shown_.first, ", expected at most ", targets_ - 1,
           ", the last position with a target");
    table_.print();
    table_.print_summary();
    std::string whole = "the whole file: ";
    if (counts.conversations > 0) whole += format_number_of(counts.conversations, "conversation") + ", ";
    if (counts.documents > 0) whole += format_number_of(counts.documents, "document") + ", ";
    whole += str("counted targets ", format_count(counted_), " of ", format_count(targets_));
    const Terminal screen = terminal(STDOUT_FILENO);
    std::cout << wrapped(whole, screen, 2) << "\n";
    for (const std::string& message : counts.messages(shown_.seq_len))
      std::cout << wrapped(message, screen, 2) << "\n";
  }

 private:
  bool shows(std::int64_t position) const {
    return shown_.first <= position && position < shown_.first + shown_.count;
  }
  void note(const std::string& text) {
    if (shows(targets_)) table_.add_note(text);
  }
  void add_entry(const ChatTokens& tokens, const std::string& title) {
    for (std::size_t i = 0; i + 1 < tokens.ids.size(); ++i, ++targets_) {
      const bool counts = tokens.counted[i + 1] != 0;
      counted_ += counts;
      if (!shows(targets_)) continue;
      if (i == 0) table_.add_note(title);
      table_.add({targets_, tokens.ids[i], tokens.ids[i + 1], counts});
    }
  }

  const Tokenizer& tokenizer_;
  ShownTargets shown_;
  TargetTable table_;
  std::optional<RowEntries> rows_;
  std::int64_t documents_ = 0;              // without rows
  std::int64_t targets_ = 0, counted_ = 0;  // of all entries so far
};

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
    if (shard.begins_document(i, end_of_text)) table.add_note("a document begins");
    table.add({i, shard.tokens()[i], shard.tokens()[i + 1], shard.counts(i + 1)});
  }
  table.print();
  table.print_summary();
}

void print_jsonl_targets(const std::string& path, const ShownTargets& shown) {
  if (shown.tokenizer.empty()) fail(path, ": --tokenizer is missing, expected the tokenizer of the model");
  const Tokenizer tokenizer = Tokenizer::read(shown.tokenizer);
  // The file is read twice: documents are cut into rows only if there are conversations.
  const auto ignore = [](JsonlEntry&&, std::int64_t) {};
  const JsonlReader first = read_jsonl(path, bad_lines_mode(shown.strict), ignore, print_bad_line);
  print_bad_lines(first.bad_lines());
  JsonlTargets targets(tokenizer, shown,
                       first.conversations() > 0 ? std::optional(shown.seq_len) : std::nullopt);
  const auto use = [&](JsonlEntry&& entry, std::int64_t line) {
    try {
      std::visit([&](const auto& content) { targets.add(content, line); }, entry);
    } catch (const Error& error) {
      fail(path, ": line ", line, ": ", error.what());
    }
  };
  read_jsonl(path, JsonlReader::BadLines::skip, use, [](const std::string&) {});
  targets.print(path);
}

}  // namespace inkling
