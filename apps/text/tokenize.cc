#include "apps/text/tokenize.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <optional>
#include <sstream>

#include "apps/text/shard.h"
#include "core/binary_file.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr std::string_view kSeparator = "<|endoftext|>";

// Returns the index of the token at which the validation part of the text begins. If possible, this part
// begins at the start of a document: the last document that starts at or before the wanted position. If this
// would more than double the part, it begins at the wanted position, in the middle of a document.
std::int64_t validation_start(const std::vector<std::int32_t>& ids, std::int32_t end_of_text,
                              const TokenizeSettings& settings) {
  const auto n = static_cast<std::int64_t>(ids.size());
  const auto fraction = static_cast<std::int64_t>(std::ceil(settings.val_fraction * static_cast<double>(n)));
  const std::int64_t wanted = std::max(fraction, std::min(settings.min_val_tokens, n / 2));
  const std::int64_t val = std::min(wanted, n - 2);
  const std::int64_t natural = n - val;
  for (std::int64_t i = natural; i > std::max<std::int64_t>(0, natural - val); --i) {
    if (ids[static_cast<std::size_t>(i)] == end_of_text) return i;
  }
  return natural;
}

std::string read_standard_input() {
  std::ostringstream text;
  text << std::cin.rdbuf();
  return text.str();
}

// Leaves out the byte-order mark of UTF-8. Error for UTF-16, which every program that writes it begins with a
// byte-order mark.
std::string_view without_byte_order_mark(std::string_view text, const std::string& name) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    fail(name, ": is UTF-16, expected UTF-8; convert it first: iconv -f UTF-16 -t UTF-8 ", name,
         " > utf8.txt");
  }
  return text.starts_with("\xef\xbb\xbf") ? text.substr(3) : text;
}

std::int64_t count_separators(std::string_view text) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(kSeparator); at != std::string_view::npos;
       at = text.find(kSeparator, at + kSeparator.size())) {
    ++count;
  }
  return count;
}

}  // namespace

std::vector<std::string_view> split_documents(std::string_view text) {
  std::vector<std::string_view> documents;
  std::size_t begin = 0;
  const auto end_document = [&](std::size_t end) {
    if (end > begin) documents.push_back(text.substr(begin, end - begin));
  };
  for (std::size_t line = 0; line < text.size();) {
    const std::size_t newline = std::min(text.find('\n', line), text.size());
    std::string_view content = text.substr(line, newline - line);
    if (content.ends_with('\r')) content.remove_suffix(1);
    const std::size_t next_line = std::min(newline + 1, text.size());
    if (content == kSeparator) {
      end_document(line);
      begin = next_line;
    }
    line = next_line;
  }
  end_document(text.size());
  return documents;
}

TokenizeResult tokenize_file(const TokenizeSettings& settings) {
  if (!(settings.val_fraction > 0 && settings.val_fraction < 1)) {
    fail("tokenize: the validation fraction is ", settings.val_fraction, ", expected between 0 and 1");
  }
  const Tokenizer tokenizer =
      settings.tokenizer_path.empty() ? Tokenizer::bytes() : Tokenizer::read(settings.tokenizer_path);
  std::optional<FileView> file;
  std::string piped;
  std::string_view text;
  if (settings.input == "-") {
    piped = read_standard_input();
    text = piped;
  } else {
    file.emplace(settings.input);
    text = {reinterpret_cast<const char*>(file->bytes().data()), file->bytes().size()};
  }
  text = without_byte_order_mark(text, settings.input);
  TokenizeResult result;
  result.text_bytes = static_cast<std::int64_t>(text.size());

  std::vector<std::int32_t> ids;
  for (std::string_view document : split_documents(text)) {
    ids.push_back(tokenizer.end_of_text());
    try {
      const std::vector<std::int32_t> encoded = tokenizer.encode(document);
      ids.insert(ids.end(), encoded.begin(), encoded.end());
    } catch (const Error& error) {
      fail(settings.input, ": the document at byte ", document.data() - text.data(), ": ", error.what());
    }
    ++result.documents;
    result.inline_separators += count_separators(document);
  }
  const auto n = static_cast<std::int64_t>(ids.size());
  constexpr std::int64_t kFewest = 8;  // with fewer tokens, one of the two parts would be useless
  if (n < kFewest) fail(settings.input, ": the text has ", n, " tokens, expected at least ", kFewest);

  const std::int64_t cut = validation_start(ids, tokenizer.end_of_text(), settings);
  const std::span<const std::int32_t> all(ids);
  const auto train = all.first(static_cast<std::size_t>(cut)),
             val = all.subspan(static_cast<std::size_t>(cut));

  result.tokenizer_path = settings.out + "_tokenizer.bin";
  tokenizer.write(result.tokenizer_path);
  result.train_path = settings.out + "_train.bin";
  ShardWriter train_shard(result.train_path, tokenizer.vocab_size());
  train_shard.append(train);
  train_shard.commit();
  result.val_path = settings.out + "_val.bin";
  ShardWriter val_shard(result.val_path, tokenizer.vocab_size());
  // A shard starts with end-of-text, even if the validation part begins in the middle of a document.
  if (val.front() != tokenizer.end_of_text()) val_shard.append(std::vector{tokenizer.end_of_text()});
  val_shard.append(val);
  val_shard.commit();
  result.train_tokens = train_shard.size();
  result.val_tokens = val_shard.size();
  return result;
}

}  // namespace inkling
