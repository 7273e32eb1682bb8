#include "apps/text/tokenize.h"

#include <unistd.h>
#include <xxhash.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>

#include "apps/text/documents.h"
#include "apps/text/parallel_encoder.h"
#include "apps/text/sharded_writer.h"
#include "apps/tokenizer/bpe_training.h"
#include "apps/tokenizer/merges_files.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr std::int64_t kManyDocuments = 100;  // from so many on, whole documents are chosen for validation
constexpr std::size_t kSample = std::size_t{1} << 16;  // bytes whose tokens are counted, to know their length
constexpr std::string_view kSeparator = "<|endoftext|>";

// Standard input can be read only once, so it is copied into a file beside the output. The destructor removes
// the file.
class SpooledInput {
 public:
  explicit SpooledInput(const std::string& out) : path_(out + "_input_XXXXXX") {
    const int file = mkstemp(path_.data());
    if (file < 0) fail(path_, ": cannot make a file for standard input: ", std::strerror(errno));
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

std::int64_t count_separators(std::string_view text) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(kSeparator); at != std::string_view::npos;
       at = text.find(kSeparator, at + kSeparator.size())) {
    ++count;
  }
  return count;
}

// Whether a document is for validation, from the beginning of its text.
bool chosen_for_validation(std::string_view text, double fraction) {
  constexpr std::size_t kHashed = std::size_t{1} << 16;
  const auto hash = static_cast<std::uint64_t>(XXH3_64bits(text.data(), std::min(text.size(), kHashed)));
  return static_cast<double>(hash >> 11) * 0x1p-53 < fraction;
}

// What the first reading finds out.
struct Survey {
  PieceCounts pieces;
  std::string sample;  // the beginning of the text
  std::int64_t documents = 0, text_bytes = 0, chosen_bytes = 0, inline_separators = 0;
  std::vector<std::int64_t> starts;  // of the first documents, as bytes of text before them
};

// Calls f(file, part) for each part of each document.
template <class F>
void for_each_part(const std::vector<std::string>& files, F&& f) {
  DocumentPart part;
  for (const std::string& file : files) {
    for (DocumentReader reader(file); reader.next(part);) f(file, part);
  }
}

Survey survey(const std::vector<std::string>& files, bool count_pieces, double val_fraction,
              const std::function<void(std::int64_t)>& report) {
  Survey found;
  bool chosen = false;
  for_each_part(files, [&](const std::string&, const DocumentPart& part) {
    if (part.begins) {
      ++found.documents;
      chosen = chosen_for_validation(part.text, val_fraction);
      if (found.documents <= kManyDocuments) found.starts.push_back(found.text_bytes);
    }
    const auto bytes = std::ssize(part.text);
    if (found.sample.size() < kSample) found.sample += part.text.substr(0, kSample - found.sample.size());
    if (count_pieces) found.pieces.add(part.text);
    found.inline_separators += count_separators(part.text);
    found.text_bytes += bytes;
    if (chosen) found.chosen_bytes += bytes;
    report(found.text_bytes);
  });
  return found;
}

Tokenizer make_tokenizer(const TokenizeSettings& settings, const Survey& found) {
  if (!settings.tokenizer_path.empty()) return Tokenizer::read(settings.tokenizer_path);
  if (settings.bytes) return Tokenizer::bytes();
  const std::int32_t wanted =
      settings.vocab_size == 0 ? suitable_vocabulary(found.text_bytes) : settings.vocab_size;
  return train_bpe(found.pieces, wanted);
}

// Returns the bytes of a token, measured on the sample. If the sample cannot be encoded, the second reading
// says where and why.
double bytes_in_a_token(const Tokenizer& tokenizer, const std::string& sample) {
  try {
    const auto tokens = std::max<std::int64_t>(std::ssize(tokenizer.encode(sample)), 1);
    return static_cast<double>(std::ssize(sample)) / static_cast<double>(tokens);
  } catch (const Error&) {
    return 1;
  }
}

// The number of bytes for validation.
std::int64_t validation_bytes(const TokenizeSettings& settings, const Survey& found, double bytes_per_token) {
  if (settings.val_fraction == 0) return 0;
  const auto n = found.text_bytes;
  const auto share = static_cast<std::int64_t>(std::ceil(settings.val_fraction * static_cast<double>(n)));
  const auto least =
      static_cast<std::int64_t>(std::ceil(static_cast<double>(settings.min_val_tokens) * bytes_per_token));
  return std::min(std::max(share, std::min(least, n / 2)), n - 1);
}

// Returns the byte at which the validation part of the text begins: if possible at the start of a document,
// the last one at or before the wanted position. If this would more than double the part, it begins at the
// wanted position, inside a document.
std::int64_t validation_start(const Survey& found, std::int64_t val_bytes) {
  const std::int64_t natural = found.text_bytes - val_bytes;
  const auto after = std::upper_bound(found.starts.begin(), found.starts.end(), natural);
  const std::int64_t start = after == found.starts.begin() ? 0 : *std::prev(after);
  return start > std::max<std::int64_t>(0, natural - val_bytes) ? start : natural;
}

}  // namespace

std::int32_t suitable_vocabulary(std::int64_t text_bytes) {
  if (text_bytes < std::int64_t{1} << 15) return 257 + static_cast<std::int32_t>(text_bytes >> 7);
  std::int32_t vocab_size = 512;
  for (std::int64_t enough = std::int64_t{1} << 18; text_bytes >= enough && vocab_size < 32768; enough *= 4)
    vocab_size *= 2;
  return vocab_size;
}

TokenizeResult tokenize_files(const TokenizeSettings& settings) {
  if (!(settings.val_fraction >= 0 && settings.val_fraction < 1)) {
    fail("tokenize: the validation fraction is ", settings.val_fraction, ", expected from 0 to below 1");
  }
  std::optional<SpooledInput> standard_input;
  std::vector<std::string> inputs = settings.inputs;
  for (std::string& input : inputs) {
    if (input != "-") continue;
    if (standard_input) fail("tokenize: standard input is given twice, expected once");
    input = standard_input.emplace(settings.out).path();
  }
  const std::vector<std::string> files = find_text_files(inputs);
  std::int64_t total = 0;
  for (const std::string& file : files) {
    std::error_code unknown;
    const auto size = std::filesystem::file_size(file, unknown);
    if (!unknown) total += static_cast<std::int64_t>(size);
  }
  const auto report = [&](std::int64_t bytes) {
    if (settings.progress) settings.progress(bytes, 2 * total);
  };

  const bool trains = settings.tokenizer_path.empty() && !settings.bytes;
  const Survey found = survey(files, trains, settings.val_fraction, report);
  const Tokenizer tokenizer = make_tokenizer(settings, found);

  TokenizeResult result;
  result.files = std::ssize(files);
  result.documents = found.documents;
  result.text_bytes = found.text_bytes;
  result.inline_separators = found.inline_separators;
  result.vocab_size = tokenizer.vocab_size();
  result.no_pair_left =
      trains && tokenizer.vocab_size() <
                    (settings.vocab_size == 0 ? suitable_vocabulary(found.text_bytes) : settings.vocab_size);
  const std::int64_t val_bytes = validation_bytes(settings, found, bytes_in_a_token(tokenizer, found.sample));
  result.split_by_document = found.documents >= kManyDocuments && 2 * found.chosen_bytes >= val_bytes &&
                             2 * found.chosen_bytes <= found.text_bytes;
  const std::int64_t val_start = validation_start(found, val_bytes);

  ShardedWriter train(settings.out + "_train", tokenizer.vocab_size(), settings.shard_tokens);
  ShardedWriter val(settings.out + "_val", tokenizer.vocab_size(), settings.shard_tokens);
  ParallelEncoder encoder(
      tokenizer, [&](bool in_val, std::span<const std::int32_t> ids) { (in_val ? val : train).append(ids); });
  std::int64_t at = 0;  // bytes of text before the part
  bool in_val = false, cut_document = false;
  for_each_part(files, [&](const std::string& file, const DocumentPart& part) {
    const std::string& name = standard_input && file == standard_input->path() ? "standard input" : file;
    const auto bytes = std::ssize(part.text);
    if (result.split_by_document) {
      if (part.begins) in_val = chosen_for_validation(part.text, settings.val_fraction);
      encoder.add(part.text, part.begins, in_val, name, part.at);
    } else if (val_bytes > 0 && at < val_start && at + bytes > val_start) {
      cut_document = true;  // validation begins with an end-of-text of its own
      const std::size_t cut = cut_near(part.text, static_cast<std::size_t>(val_start - at));
      encoder.add(part.text.substr(0, cut), part.begins, false, name, part.at);
      encoder.add(part.text.substr(cut), true, true, name, part.at + static_cast<std::int64_t>(cut));
    } else {
      encoder.add(part.text, part.begins || (val_bytes > 0 && at == val_start),
                  val_bytes > 0 && at >= val_start, name, part.at);
    }
    at += bytes;
    report(total + at);
  });
  encoder.finish();

  const std::int64_t n = train.size() + val.size() - cut_document;
  constexpr std::int64_t kFewest = 8;  // with fewer tokens, one of the two parts would be useless
  if (n < kFewest)
    fail(settings.inputs.front(), ": the text has ", n, " tokens, expected at least ", kFewest);

  result.tokenizer_path = settings.out + "_tokenizer.bin";
  tokenizer.write(result.tokenizer_path);
  if (!settings.hf_directory.empty()) write_merges_directory(tokenizer, settings.hf_directory);
  result.train_paths = train.commit();
  if (settings.val_fraction > 0) result.val_paths = val.commit();
  result.train_tokens = train.size();
  result.val_tokens = val.size();
  return result;
}

}  // namespace inkling
