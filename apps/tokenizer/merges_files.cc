#include "apps/tokenizer/merges_files.h"

#include <algorithm>
#include <filesystem>
#include <unordered_map>
#include <utility>

#include "apps/run/strict_json.h"
#include "apps/tokenizer/byte_alphabet.h"
#include "core/binary_file.h"
#include "core/error.h"

namespace inkling {

namespace {

// The names of the vocabulary and of the merges: Hugging Face's, and GPT-2's.
constexpr std::pair<const char*, const char*> kFiles[] = {{"vocab.json", "merges.txt"},
                                                          {"encoder.json", "vocab.bpe"}};
constexpr std::int64_t kMostTokens = std::int64_t{1} << 24;

std::vector<std::string> parse_vocabulary(std::string_view text, const std::string& name) {
  const nlohmann::json vocabulary = parse_json(text, name);
  if (!vocabulary.is_object() || vocabulary.empty())
    fail(name, ": expected a JSON object of tokens and their ids");
  const auto V = static_cast<std::int64_t>(vocabulary.size());
  if (V > kMostTokens) fail(name, ": has ", V, " tokens, expected at most ", kMostTokens);
  std::vector<std::string> tokens(vocabulary.size());
  for (const auto& [characters, id] : vocabulary.items()) {
    if (!id.is_number_integer() || id < 0 || id >= V) {
      fail(name, ": the id of ", nlohmann::json(characters).dump(), " is ", id.dump(),
           ", expected 0 .. V-1=", V - 1);
    }
    std::string& token = tokens[id.get<std::size_t>()];
    if (!token.empty())
      fail(name, ": two tokens have the id ", id.dump(), ", expected a different id for each token");
    const auto bytes = from_byte_alphabet(characters);
    if (!bytes || bytes->empty()) {
      fail(name, ": token ", id.dump(), " is ", nlohmann::json(characters).dump(),
           ", expected characters of GPT-2's byte alphabet");
    }
    token = *bytes;
  }
  return tokens;
}

std::int32_t find_end_of_text(const std::vector<std::string>& tokens, const std::string& name) {
  const auto found = std::find(tokens.begin(), tokens.end(), kEndOfTextBytes);
  if (found == tokens.end()) fail(name, ": has no token <|endoftext|>, expected one");
  return static_cast<std::int32_t>(found - tokens.begin());
}

// Checks that the merges of the tokenizer's table are the merges of the file.
void check_merges(const Tokenizer& tokenizer, std::string_view merges, const std::string& name) {
  std::vector<bool> merged(static_cast<std::size_t>(tokenizer.vocab_size()));
  std::int64_t line_number = 0, last = -1;
  while (!merges.empty()) {
    const std::size_t newline = std::min(merges.find('\n'), merges.size());
    std::string_view line = merges.substr(0, newline);
    merges.remove_prefix(std::min(newline + 1, merges.size()));
    ++line_number;
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (line_number == 1 && line.starts_with("#version"))) continue;
    const auto blank = std::min(line.find(' '), line.size());
    const auto left = from_byte_alphabet(line.substr(0, blank));
    const auto right = from_byte_alphabet(line.substr(std::min(blank + 1, line.size())));
    if (!left || !right || left->empty() || right->empty())
      fail(name, ":", line_number, ": is \"", line, "\", expected two tokens with a space between them");
    const std::int32_t id = tokenizer.bpe().longest_match(*left + *right);
    const BpeTable::Merge merge = id < 0 ? BpeTable::Merge{} : tokenizer.bpe().merge_of(id);
    if (merge.left < 0 || tokenizer.token(merge.left) != *left || tokenizer.token(merge.right) != *right ||
        id <= last) {
      fail(name, ":", line_number, ": the merge \"", line,
           "\" does not follow from the ids of the vocabulary, expected ids in the order of the merges");
    }
    last = id;
    merged[static_cast<std::size_t>(id)] = true;
  }
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (tokenizer.bpe().merge_of(id).left >= 0 && !merged[static_cast<std::size_t>(id)])
      fail(name, ": has no merge for token ", id, ", ", to_byte_alphabet(tokenizer.token(id)));
  }
}

void write_whole(const std::string& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text);
  file.commit();
}

}  // namespace

Tokenizer parse_merges(std::string_view vocabulary, const std::string& vocabulary_name,
                       std::string_view merges, const std::string& merges_name) {
  std::vector<std::string> tokens = parse_vocabulary(vocabulary, vocabulary_name);
  const std::int32_t end_of_text = find_end_of_text(tokens, vocabulary_name);
  Tokenizer tokenizer(std::move(tokens), end_of_text, vocabulary_name);
  if (tokenizer.kind() == Tokenizer::Kind::words)
    fail(vocabulary_name, ": is a word tokenizer, expected a BPE tokenizer");
  check_merges(tokenizer, merges, merges_name);
  return tokenizer;
}

bool has_merges_files(const std::string& directory) {
  const std::filesystem::path folder(directory);
  return std::any_of(std::begin(kFiles), std::end(kFiles), [&](const auto& names) {
    return std::filesystem::exists(folder / names.first) && std::filesystem::exists(folder / names.second);
  });
}

Tokenizer read_merges_directory(const std::string& directory) {
  const std::filesystem::path folder(directory);
  for (const auto& [vocabulary, merges] : kFiles) {
    if (!std::filesystem::exists(folder / vocabulary)) continue;
    const std::string vocabulary_path = (folder / vocabulary).string(),
                      merges_path = (folder / merges).string();
    const FileView vocabulary_file(vocabulary_path), merges_file(merges_path);
    return parse_merges(vocabulary_file.text(), vocabulary_path, merges_file.text(), merges_path);
  }
  fail(directory, ": has no tokenizer, expected vocab.json and merges.txt, or encoder.json and vocab.bpe");
}

std::vector<std::string> written_tokens(const Tokenizer& tokenizer) {
  if (tokenizer.kind() == Tokenizer::Kind::words)
    fail(
        "this is a word tokenizer, expected a BPE tokenizer: the files of other programs cannot hold any "
        "other kind");
  std::vector<std::string> written;
  std::unordered_map<std::string, std::int32_t> ids;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    written.push_back(id == tokenizer.end_of_text() ? std::string(kEndOfTextBytes)
                                                    : to_byte_alphabet(tokenizer.token(id)));
    const auto [first, is_new] = ids.emplace(written.back(), id);
    if (!is_new)
      fail("the tokenizer has the token ", nlohmann::json(first->first).dump(), " twice, with the ids ",
           first->second, " and ", id,
           ", expected each token once, because the files of other programs cannot hold a token twice");
  }
  return written;
}

std::vector<std::string> written_merges(const Tokenizer& tokenizer) {
  const auto characters = [&](std::int32_t token) { return to_byte_alphabet(tokenizer.token(token)); };
  std::vector<std::string> written;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const BpeTable::Merge merge = tokenizer.bpe().merge_of(id);
    if (merge.left >= 0) written.push_back(characters(merge.left) + " " + characters(merge.right));
  }
  return written;
}

// The object is written token by token, because ordered_json compares every new key with all keys so far.
std::string vocab_json_text(const Tokenizer& tokenizer) {
  const std::vector<std::string> tokens = written_tokens(tokenizer);
  std::string text = "{";
  for (std::size_t id = 0; id < tokens.size(); ++id)
    text += (id > 0 ? "," : "") + nlohmann::json(tokens[id]).dump() + ":" + std::to_string(id);
  return text + "}\n";
}

std::string merges_text(const Tokenizer& tokenizer) {
  std::string text = "#version: 0.2\n";
  for (const std::string& merge : written_merges(tokenizer)) text += merge + "\n";
  return text;
}

void write_merges_directory(const Tokenizer& tokenizer, const std::string& directory) {
  const std::string vocabulary = vocab_json_text(tokenizer), merges = merges_text(tokenizer);
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) fail(directory, ": cannot create this directory: ", error.message());
  write_whole((std::filesystem::path(directory) / "vocab.json").string(), vocabulary);
  write_whole((std::filesystem::path(directory) / "merges.txt").string(), merges);
}

}  // namespace inkling
