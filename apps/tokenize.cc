// inkling tokenize: turns texts into shards for training.
#include <unistd.h>

#include <chrono>
#include <iostream>

#include "apps/bad_lines.h"
#include "apps/commands.h"
#include "apps/number_flag.h"
#include "apps/run/format.h"
#include "apps/run/terminal.h"
#include "apps/token_text.h"
#include "apps/tokenize/tokenize.h"
#include "core/parallel.h"

namespace inkling {

namespace {

struct TokenizeCommand {
  TokenizeSettings settings;
  std::string show;    // the text of --show
  bool shows = false;  // --show is given; its text may be empty
  int threads = hardware_threads();
};

std::string share(const TokenizeResult& result) {
  const auto val = static_cast<double>(result.val_tokens), train = static_cast<double>(result.train_tokens);
  return format_fixed(100.0 * val / (val + train), 1);
}

// The progress on a terminal: one line, which is drawn again about four times a second. Nothing is drawn in
// the first half second.
class ByteProgress {
 public:
  ~ByteProgress() {
    if (drawn_) std::cerr << "\r\33[K" << std::flush;
  }

  void update(std::int64_t read, std::int64_t total) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_ || total == 0) return;
    next_ = now + std::chrono::milliseconds(250);
    const Terminal screen = terminal(2);
    if (!screen.redraws) return;
    const double seconds = std::chrono::duration<double>(now - start_).count();
    const double done = static_cast<double>(read) / static_cast<double>(total);
    const double speed = static_cast<double>(read) / seconds;
    std::string line =
        str(format_fixed(100 * done, 0), "% of two passes over the text, ", format_fixed(speed / 1e6, 1),
            " MB/s, ", format_fixed((1 - done) / done * seconds, 0), " s left");
    line = line.substr(0, static_cast<std::size_t>(std::max(screen.columns - 1, 0)));
    std::cerr << "\r\33[K" << line << std::flush;
    drawn_ = true;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point next_ = start_ + std::chrono::milliseconds(500);
  bool drawn_ = false;
};

// Prints the tokens of a text: the id and the bytes of each.
int show(const TokenizeCommand& command) {
  const TokenizeSettings& settings = command.settings;
  if (settings.tokenizer_path.empty() && !settings.bytes)
    throw UsageError("--show needs --tokenizer or --bytes");
  const Tokenizer tokenizer = settings.bytes ? Tokenizer::bytes() : Tokenizer::read(settings.tokenizer_path);
  const std::vector<std::int32_t> ids = tokenizer.encode(command.show);
  const Terminal screen = terminal(STDOUT_FILENO);
  for (const std::int32_t id : ids) {
    std::cout << id << "\t" << quoted_token(screen, tokenizer.token(id)) << "\n";
  }
  std::cout << format_number_of(std::ssize(ids), "token") << ", "
            << format_number_of(std::ssize(command.show), "byte") << "\n";
  return 0;
}

// Prints what did not fit into the rows, and how many tokens count as targets.
void print_rows(const TokenizeResult& result, std::int64_t T) {
  const std::int64_t tokens = result.train_tokens + result.val_tokens;
  for (const std::string& message : result.entries.messages(T)) std::cout << message << "\n";
  const double share = static_cast<double>(result.counted_tokens) / static_cast<double>(tokens);
  std::cout << format_number_of(result.counted_tokens, "token") << " of answers"
            << (result.documents > 0         ? " and documents count"
                : result.counted_tokens == 1 ? " counts"
                                             : " count")
            << " as targets, " << format_fixed(100.0 * share, 1) << "% of all; rows have "
            << format_number_of(T, "token") << "\n";
}

void print_shards(const std::vector<std::string>& paths, std::int64_t tokens) {
  std::cout << paths.front() << (paths.size() > 1 ? str(" and ", paths.size() - 1, " more") : "") << ": "
            << format_number_of(tokens, "token");
}

void print(const TokenizeResult& result, std::int64_t T) {
  const bool chats = result.conversations > 0;
  const std::int64_t tokens = result.train_tokens + result.val_tokens;
  std::cout << format_number_of(result.text_bytes, "byte");
  if (chats) std::cout << ", " << format_number_of(result.conversations, "conversation");
  if (result.documents > 0) std::cout << ", " << format_number_of(result.documents, "document");
  std::cout << "\n" << result.tokenizer_path << ": " << format_number_of(result.vocab_size, "token");
  if (!chats)
    std::cout << ", " << format_fixed(static_cast<double>(result.text_bytes) / static_cast<double>(tokens), 2)
              << " bytes of text in a token";
  std::cout << "\n";
  if (chats) print_rows(result, T);
  print_shards(result.train_paths, result.train_tokens);
  std::cout << "\n";
  if (!result.val_paths.empty()) {
    print_shards(result.val_paths, result.val_tokens);
    std::cout << ", " << share(result) << "% of all, "
              << (!result.split_by_document ? chats ? "the last conversations" : "the end of the text"
                  : chats                   ? "chosen conversation by conversation"
                                            : "chosen document by document")
              << "\n";
  }
  print_bad_lines(result.bad_lines);
  if (result.no_pair_left)
    std::cerr << "inkling: no pair of tokens is left to merge, so the tokenizer has only "
              << format_number_of(result.vocab_size, "token") << std::endl;
  if (result.sampled_pieces) {
    std::cerr
        << "inkling: the text has too many different words for the memory of the count, so the tokenizer was "
           "trained on a sample of the rare words"
        << std::endl;
  }
  if (!result.not_utf8.empty()) {
    std::cerr << "inkling: " << result.not_utf8
              << " is not UTF-8 text; is this the right file? Its bytes are tokenized as they are"
              << std::endl;
  }
  if (result.inline_separators > 0) {
    std::cerr << "inkling: <|endoftext|> is inside a line "
              << format_number_of(result.inline_separators, "time")
              << "; there it is ordinary text and does not separate documents" << std::endl;
  }
}

int run(const TokenizeCommand& command) {
  set_threads(command.threads);
  if (command.shows) return show(command);
  if (command.settings.inputs.empty())
    throw UsageError("--input is missing, expected texts, JSONL files or directories");
  if (command.settings.out.empty())
    throw UsageError("--out is missing, expected the beginning of the names of the new files");
  TokenizeSettings settings = command.settings;
  TokenizeResult result;
  {
    ByteProgress progress;
    settings.report_bad_line = print_bad_line;
    settings.progress = [&](std::int64_t read, std::int64_t total) { progress.update(read, total); };
    result = tokenize_files(settings);
  }
  print(result, settings.seq_len);
  return 0;
}

}  // namespace

void add_tokenize(CLI::App& app, Action& action) {
  CLI::App* tokenize = app.add_subcommand("tokenize", "Turn texts into training and validation shards");
  auto command = std::make_shared<TokenizeCommand>();
  TokenizeSettings& settings = command->settings;
  tokenize->add_option(
      "--input", settings.inputs,
      "texts in UTF-8, .jsonl files of documents or conversations, directories of them, - for standard "
      "input; in texts, lines of <|endoftext|> separate documents");
  tokenize->add_flag("--jsonl", settings.jsonl, "read all inputs as JSONL, whatever their names are");
  add_strict_flag(*tokenize, settings.strict);
  number_flag(
      tokenize->add_option("--seq-len", settings.seq_len,
                           "if there are conversations: pack them, and documents among them, in rows "
                           "of this many tokens (T), which training must use too; longer conversations "
                           "lose their oldest turns"),
      std::int64_t{2}, std::int64_t{1} << 20)
      ->capture_default_str();
  tokenize->add_option(
      "--out", settings.out,
      "beginning of the names of the files: OUT_train.bin, OUT_val.bin and OUT_tokenizer.bin");
  CLI::Option* tokenizer = tokenize->add_option("--tokenizer", settings.tokenizer_path,
                                                "tokenizer file, or a directory with vocab.json and "
                                                "merges.txt or encoder.json and vocab.bpe; default: train "
                                                "a byte pair encoding on the text");
  CLI::Option* bytes = tokenize->add_flag("--bytes", settings.bytes, "every byte is a token");
  CLI::Option* vocab_size =
      number_flag(tokenize->add_option(
                      "--vocab-size", settings.vocab_size,
                      "number of tokens of the new tokenizer; default: 512 to 32768, more for larger texts"),
                  std::int32_t{257}, std::int32_t{1} << 20);
  tokenizer->excludes(bytes)->excludes(vocab_size);
  bytes->excludes(vocab_size);
  tokenize->add_option(
      "--hf", settings.hf_directory,
      "also write the tokenizer into this directory, as vocab.json and merges.txt of Hugging Face");
  number_flag(
      tokenize->add_option("--val-fraction", settings.val_fraction,
                           "share of the text for validation; 0: none; of a small text at least 2,049 "
                           "tokens, but at most half of the text"),
      0.0, 0.5)
      ->capture_default_str();
  number_flag(tokenize->add_option(
                  "--shard-tokens", settings.shard_tokens,
                  "maximum number of tokens in a shard; the shards are then OUT_train_000001.bin and so on; "
                  "default: one shard"),
              std::int64_t{1024}, std::int64_t{1} << 40);
  const CLI::Option* show = tokenize->add_option(
      "--show", command->show, "print the ids and bytes of the tokens of this text, and exit");
  number_flag(tokenize->add_option("--threads", command->threads,
                                   "number of threads; the shards do not depend on it"),
              1, kMostThreads)
      ->capture_default_str();
  tokenize->callback([&action, command, show] {
    command->shows = show->count() > 0;
    action = [command] { return run(*command); };
  });
}

}  // namespace inkling
