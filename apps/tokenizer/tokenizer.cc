#include "apps/tokenizer/tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <unordered_set>

#include "apps/run/format.h"
#include "apps/tokenizer/merges_files.h"
#include "core/error.h"
#include "nn/file_header.h"

namespace inkling {

namespace {

constexpr std::size_t kLongestToken = 255;  // the file stores the length of a token in one byte
constexpr std::int32_t kGpt2EndOfText = 50256;
constexpr std::string_view kTokenizerEnd = "_tokenizer.bin";

std::size_t index(std::int32_t id) {
  return static_cast<std::size_t>(id);
}

// Returns the first bytes of a text in a form for error messages: short, printable, on one line.
std::string excerpt(std::string_view text) {
  constexpr std::size_t kShown = 24;
  std::string shown = "\"";
  for (char c : text.substr(0, kShown))
    shown += (c >= ' ' && c != 127) || static_cast<unsigned char>(c) >= 128 ? c : '?';
  return shown + (text.size() > kShown ? "...\"" : "\"");
}

}  // namespace

Tokenizer::Tokenizer(std::vector<std::string> tokens, std::int32_t end_of_text, std::string name)
    : name_(std::move(name)), tokens_(std::move(tokens)), end_of_text_(end_of_text) {
  if (tokens_.empty()) fail(name_, ": the vocabulary is empty, expected at least one token");
  if (end_of_text_ < 0 || end_of_text_ >= vocab_size()) {
    fail(name_, ": end-of-text is token ", end_of_text_, ", expected 0 .. V-1=", vocab_size() - 1);
  }
  sorted_.reserve(tokens_.size());
  for (std::int32_t id = 0; id < vocab_size(); ++id) {
    const std::size_t length = tokens_[index(id)].size();
    if (length < 1 || length > kLongestToken) {
      fail(name_, ": token ", id, " has ", length, " bytes, expected 1 .. ", kLongestToken);
    }
    if (id != end_of_text_) sorted_.push_back(id);
  }
  std::stable_sort(sorted_.begin(), sorted_.end(),
                   [&](std::int32_t a, std::int32_t b) { return tokens_[index(a)] < tokens_[index(b)]; });
  kind_ = derive_kind();
  if (kind_ != Kind::words) bpe_ = BpeTable(tokens_, end_of_text_);
}

Tokenizer::Kind Tokenizer::derive_kind() const {
  std::unordered_set<std::string_view> known;
  for (std::int32_t id : sorted_) known.insert(tokens_[index(id)]);
  const auto is_joined = [&](std::string_view token) {
    for (std::size_t cut = 1; cut < token.size(); ++cut) {
      if (known.contains(token.substr(0, cut)) && known.contains(token.substr(cut))) return true;
    }
    return false;
  };
  const std::size_t bytes = static_cast<std::size_t>(
      std::count_if(known.begin(), known.end(), [](std::string_view token) { return token.size() == 1; }));
  if (bytes == 256) return known.size() == bytes ? Kind::bytes : Kind::bpe;
  Kind kind = Kind::bytes;
  for (std::int32_t id : sorted_) {
    const std::string& token = tokens_[index(id)];
    if (token.size() == 1) continue;
    if (!is_joined(token)) return Kind::words;
    kind = Kind::bpe;
  }
  return kind;
}

std::string_view Tokenizer::kind_name() const {
  return kind_ == Kind::bytes ? "bytes" : kind_ == Kind::words ? "words" : "BPE";
}

Tokenizer Tokenizer::bytes() {
  std::vector<std::string> tokens;
  tokens.reserve(257);
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.emplace_back(kEndOfTextBytes);
  return Tokenizer(std::move(tokens), 256, "byte tokenizer");
}

Tokenizer Tokenizer::read(const std::string& path) {
  if (std::filesystem::is_directory(path)) return read_merges_directory(path);
  return parse(ByteReader(FileView(path)));
}

Tokenizer Tokenizer::parse(ByteReader in) {
  const Header header = read_header(in, kTokenizerMagic, "tokenizer file");
  const std::int32_t version = header[1];
  const std::int32_t V = header[2];
  if (version != 1 && version != 2)
    fail_at_entry(in, 1, str("tokenizer version is ", version, ", expected 1 or 2"));
  // A token takes at least two bytes in the file, so the file's size limits V before any memory is allocated
  // for V tokens.
  if (V <= 0 || V > in.remaining_bytes() / 2) {
    fail_at_entry(in, 2,
                  str("vocabulary is ", V, " tokens, expected 1 .. ", in.remaining_bytes() / 2,
                      ", as many as the file's ", in.remaining_bytes(), " bytes can hold"));
  }
  const std::int32_t end_of_text = version == 1 ? kGpt2EndOfText : header[3];
  if (end_of_text < 0 || end_of_text >= V) {
    fail_at_entry(in, version == 1 ? 2 : 3,
                  str("end-of-text is token ", end_of_text, ", expected 0 .. V-1=", V - 1));
  }
  std::vector<std::string> tokens;
  tokens.reserve(index(V));
  for (std::int32_t id = 0; id < V; ++id) {
    const auto length = in.read<std::uint8_t>("the length of a token");
    if (length == 0) in.fail_here(str("token ", id, " has 0 bytes, expected 1 .. 255"));
    const auto token = in.take(length, "a token");
    tokens.emplace_back(reinterpret_cast<const char*>(token.data()), token.size());
  }
  in.expect_end("the vocabulary");
  return Tokenizer(std::move(tokens), end_of_text, in.path());
}

void Tokenizer::write(const std::string& path) const {
  AtomicFile file(path);
  Header header;
  header[0] = kTokenizerMagic, header[1] = 2, header[2] = vocab_size(), header[3] = end_of_text_;
  file.write(header.ints, Header::kBytes);
  std::string body;
  for (const std::string& token : tokens_) {
    body += static_cast<char>(token.size());
    body += token;
  }
  file.write(body);
  file.commit();
}

const std::string& Tokenizer::token(std::int32_t id) const {
  if (id < 0 || id >= vocab_size())
    fail(name_, ": token id is ", id, ", expected 0 .. V-1=", vocab_size() - 1);
  return tokens_[index(id)];
}

void Tokenizer::check_vocabulary(const std::string& model, std::int64_t expected) const {
  if (vocab_size() == expected) return;
  fail(name_, ": the tokenizer has ", format_number_of(vocab_size(), "token"), ", the model",
       model.empty() ? "" : " ", model, " has ", expected, ", expected the same number");
}

std::string Tokenizer::decode(std::span<const std::int32_t> ids) const {
  std::string text;
  for (std::int32_t id : ids) text += token(id);
  return text;
}

// Returns the id of the longest token that the text starts with, or -1. The tokens that start with the first
// k bytes of the text are one range of sorted_, and the range gets smaller as k grows. If a token equals
// these k bytes, it is the first token of the range.
std::int32_t Tokenizer::longest_match(std::string_view text) const {
  auto begin = sorted_.begin(), end = sorted_.end();
  std::int32_t longest = -1;
  for (std::size_t k = 0; k < text.size() && begin != end; ++k) {
    // Tokens of exactly k bytes have no byte at index k. The tokens after them are sorted by their byte at
    // index k.
    while (begin != end && tokens_[index(*begin)].size() == k) ++begin;
    const auto byte = static_cast<unsigned char>(text[k]);
    const auto byte_at_k = [&](std::int32_t id) { return static_cast<unsigned char>(tokens_[index(id)][k]); };
    begin = std::partition_point(begin, end, [&](std::int32_t id) { return byte_at_k(id) < byte; });
    end = std::partition_point(begin, end, [&](std::int32_t id) { return byte_at_k(id) == byte; });
    if (begin != end && tokens_[index(*begin)].size() == k + 1) longest = *begin;
  }
  return longest;
}

std::vector<std::int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<std::int32_t> ids;
  TextEncoder(*this).encode(text, ids);
  return ids;
}

void Tokenizer::fail_to_encode(std::string_view text, std::size_t at) const {
  fail(name_, ": none of the ", format_number_of(vocab_size(), "token"), " (", kind_name(),
       ") fits the text at byte ", at, ": ", excerpt(text.substr(at)));
}

TextEncoder::TextEncoder(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {
  if (tokenizer.kind() == Tokenizer::Kind::bpe) bpe_.emplace(tokenizer.bpe());
}

void TextEncoder::encode(std::string_view text, std::vector<std::int32_t>& ids) {
  if (bpe_) {
    const std::size_t encoded = bpe_->encode(text, ids);
    if (encoded < text.size()) tokenizer_->fail_to_encode(text, encoded);
    return;
  }
  for (std::size_t at = 0; at < text.size();) {
    const std::int32_t id = tokenizer_->longest_match(text.substr(at));
    if (id < 0) tokenizer_->fail_to_encode(text, at);
    ids.push_back(id);
    at += tokenizer_->token(id).size();
  }
}

std::string tokenizer_path_for(const std::string& model) {
  const std::filesystem::path path(model);
  return (path.parent_path() / (path.stem().string() + std::string(kTokenizerEnd))).string();
}

std::string tokenizer_path_beside(const std::string& model) {
  const std::filesystem::path path(model);
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const std::string model_name = path.stem().string();
  std::string found;
  std::size_t longest = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(kTokenizerEnd)) continue;
    const std::size_t length = name.size() - kTokenizerEnd.size();
    if (length <= longest || !model_name.starts_with(name.substr(0, length))) continue;
    longest = length, found = entry.path().string();
  }
  if (!found.empty()) return found;
  if (std::filesystem::exists(folder / "tokenizer.bin")) return (folder / "tokenizer.bin").string();
  return has_merges_files(folder.string()) ? folder.string() : "";
}

std::optional<Tokenizer> find_tokenizer(const std::string& path, const std::string& model) {
  const std::string found = path.empty() ? tokenizer_path_beside(model) : path;
  if (found.empty()) return std::nullopt;
  return Tokenizer::read(found);
}

std::int32_t end_of_text(const std::optional<Tokenizer>& tokenizer, std::int64_t vocab_size) {
  return tokenizer ? tokenizer->end_of_text() : static_cast<std::int32_t>(vocab_size - 1);
}

}  // namespace inkling
