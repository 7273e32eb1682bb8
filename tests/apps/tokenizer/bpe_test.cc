// Byte pair encoding: the linear encoding against the definition, which merges one pair after another.
#include "apps/tokenizer/bpe.h"

#include <bit>
#include <filesystem>
#include <iomanip>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/tokenizer/bpe_training.h"
#include "apps/tokenizer/merges_files.h"
#include "apps/tokenizer/pieces.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "tests/catch.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using Ids = std::vector<std::int32_t>;

// The definition: the bytes are tokens; while some pair of neighbours joins to a token, the pair whose token
// has the lowest id is merged, the leftmost first.
Ids encode_by_merging(const Tokenizer& tokenizer, std::string_view piece) {
  std::vector<std::string> parts;
  for (const char byte : piece) parts.emplace_back(1, byte);
  std::map<std::string, std::int32_t> ids;
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    if (id != tokenizer.end_of_text()) ids.emplace(tokenizer.token(id), id);
  for (;;) {
    std::int32_t lowest = tokenizer.vocab_size();
    std::size_t at = 0;
    for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ids.find(parts[i] + parts[i + 1]);
      if (found != ids.end() && found->second < lowest) lowest = found->second, at = i;
    }
    if (lowest == tokenizer.vocab_size()) break;
    parts[at] += parts[at + 1];
    parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
  }
  Ids encoded;
  for (const std::string& part : parts) encoded.push_back(ids.at(part));
  return encoded;
}

// Random text of the first `letters` letters. Few letters give many overlapping tokens.
std::string random_letters(Rng& rng, std::size_t length, std::uint64_t letters) {
  std::string text(length, ' ');
  for (char& c : text) c = static_cast<char>('a' + rng.below(letters));
  return text;
}

Tokenizer trained(std::string_view text, std::int32_t vocab_size) {
  PieceCounts pieces;
  pieces.add(text);
  return train_bpe(pieces, vocab_size);
}

TEST_CASE("bpe: the linear encoding equals the merges, for random tables and texts") {
  Rng rng(7);
  for (int round = 0; round < 60; ++round) {
    const std::uint64_t letters = 1 + rng.below(4);
    const Tokenizer tokenizer = trained(random_letters(rng, 40 + rng.below(400), letters),
                                        257 + static_cast<std::int32_t>(rng.below(120)));
    BpeEncoder encoder(tokenizer.bpe());
    for (int k = 0; k < 40; ++k) {
      const std::string piece = random_letters(rng, 1 + rng.below(60), letters);
      Ids ids;
      REQUIRE(encoder.encode_piece(piece, ids) == piece.size());
      CAPTURE(round, piece);
      REQUIRE(ids == encode_by_merging(tokenizer, piece));
    }
  }
}

TEST_CASE("bpe: the bytes of a table may have any ids, and a token that no merge makes is never used") {
  // "xyz" could only be joined from "xy" or "yz", which are no tokens. The bytes come after the merges.
  const std::vector<std::string> tokens = {"ab", "abab", "b", "a",  "ba", "<|endoftext|>",
                                           "x",  "y",    "z", "xyz"};
  const BpeTable table(tokens, 5);
  BpeEncoder encoder(table);
  Ids ids;
  REQUIRE(encoder.encode("ababab ", ids) == 6);
  CHECK(ids == Ids{1, 0});
  ids.clear();
  REQUIRE(encoder.encode("xyz", ids) == 3);
  CHECK(ids == Ids{6, 7, 8});
  ids.clear();
  REQUIRE(encoder.encode("bab", ids) == 3);
  CHECK(ids == Ids{2, 0});
  CHECK(table.merge_of(1).left == 0);
  CHECK(table.merge_of(9).left == BpeTable::kNone);
}

TEST_CASE("bpe: a byte without a token stops the encoding, and the message gives its position") {
  const Tokenizer tokenizer({"a", "b", "ab", "<|endoftext|>"}, 3, "small.bin");
  CHECK(tokenizer.encode("abba") == Ids{2, 1, 0});
  CHECK_THROWS_WITH(tokenizer.encode("abxab"),
                    contains("small.bin") && contains("at byte 2") && contains("\"xab\""));
  CHECK_THROWS_WITH(tokenizer.encode("aaaaaaaaaaaaaaaaaaaaaaaaab?"), contains("at byte 26"));
}

TEST_CASE("bpe: decoding the encoding gives any bytes back, and texts after one another give the same ids") {
  Rng rng(3);
  const Tokenizer tokenizer =
      trained("the cat sat on the mat, and the dog sat on the cat. It's the dog's mat!  \n\n", 320);
  TextEncoder encoder(tokenizer);
  for (std::size_t length = 0; length < 300; ++length) {
    std::string text(length, '\0');
    for (char& c : text) c = static_cast<char>(rng.below(rng.below(3) == 0 ? 256 : 128));
    Ids ids;
    encoder.encode(text, ids);
    REQUIRE(tokenizer.decode(ids) == text);
    REQUIRE(ids == tokenizer.encode(text));
  }
}

TEST_CASE("bpe: remembered pieces give the same ids as pieces seen for the first time") {
  Rng rng(5);
  std::string text;
  for (int word = 0; word < 60000; ++word) text += " " + random_letters(rng, 1 + rng.below(18), 6);
  const Tokenizer tokenizer = trained(text.substr(0, 20000), 700);
  Ids together, apart;
  BpeEncoder encoder(tokenizer.bpe());
  for (int pass = 0; pass < 2; ++pass) {
    together.clear();
    REQUIRE(encoder.encode(text, together) == text.size());
  }
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view piece = rest.substr(0, piece_length(rest));
    encoder.encode_piece(piece, apart);
    rest.remove_prefix(piece.size());
  }
  CHECK(together == apart);
}

TEST_CASE("bpe: a text that is cut at cut_before() has the same ids") {
  Rng rng(11);
  std::string text;
  const std::string_view words[] = {"it's", " ", "  ", "\n", "cat", "42", "don't", "\xc3\xa9t\xc3\xa9",
                                    "!?",   "\t"};
  for (int i = 0; i < 4000; ++i) text += words[rng.below(std::size(words))];
  const Tokenizer tokenizer = trained(text, 400);
  const Ids whole = tokenizer.encode(text);
  for (const std::size_t step : {7u, 100u, 4000u}) {
    Ids ids;
    TextEncoder encoder(tokenizer);
    for (std::string_view rest = text; !rest.empty();) {
      std::size_t cut = rest.size() > step ? cut_before(rest, step) : 0;
      if (cut == 0) cut = rest.size() > 400 && step < 400 ? cut_before(rest, 400) : rest.size();
      if (cut == 0) cut = rest.size();
      encoder.encode(rest.substr(0, cut), ids);
      rest.remove_prefix(cut);
    }
    CHECK(ids == whole);
  }
}

const Tokenizer& gpt2() {
  static const Tokenizer tokenizer = Tokenizer::read("tests/goldens/gpt2_tokenizer.bin");
  return tokenizer;
}

nlohmann::json gpt2_goldens() {
  return nlohmann::json::parse(test::read_text("tests/goldens/gpt2_tokens.json"));
}

TEST_CASE("bpe: the ids of GPT-2") {
  const nlohmann::json goldens = gpt2_goldens();
  CHECK(gpt2().kind() == Tokenizer::Kind::bpe);
  CHECK(gpt2().encode("The capital is Paris") == Ids{464, 3139, 318, 6342});
  REQUIRE(goldens.at("texts").size() > 30);
  for (const auto& golden : goldens.at("texts")) {
    const auto text = golden.at("text").get<std::string>();
    CAPTURE(text);
    CHECK(gpt2().encode(text) == golden.at("ids").get<Ids>());
    CHECK(gpt2().decode(gpt2().encode(text)) == text);
  }
}

std::string utf8(std::uint32_t point) {
  const auto byte = [](std::uint32_t bits) { return static_cast<char>(bits); };
  if (point < 0x80) return {byte(point)};
  if (point < 0x800) return {byte(0xc0 | point >> 6), byte(0x80 | (point & 0x3f))};
  if (point < 0x10000)
    return {byte(0xe0 | point >> 12), byte(0x80 | (point >> 6 & 0x3f)), byte(0x80 | (point & 0x3f))};
  return {byte(0xf0 | point >> 18), byte(0x80 | (point >> 12 & 0x3f)), byte(0x80 | (point >> 6 & 0x3f)),
          byte(0x80 | (point & 0x3f))};
}

TEST_CASE(
    "bpe: the ids of GPT-2 for every code point: at the start, after a letter or a space, before a digit") {
  const nlohmann::json goldens = gpt2_goldens();
  const auto block = goldens.at("code_points_in_a_block").get<std::uint32_t>();
  const auto checksums = goldens.at("checksums").get<std::vector<std::string>>();
  REQUIRE(checksums.size() * block == 0x110000);
  TextEncoder encoder(gpt2());
  for (std::size_t i = 0; i < checksums.size(); ++i) {
    std::uint64_t hash = 0xcbf29ce484222325;
    const auto add = [&](std::uint64_t number) { hash = (hash ^ number) * 0x100000001b3; };
    const auto first = static_cast<std::uint32_t>(i) * block;
    for (std::uint32_t point = first; point < first + block; ++point) {
      if (point >= 0xd800 && point < 0xe000) continue;
      const std::string c = utf8(point);
      for (const std::string& text : {c, "a" + c, " " + c, c + "1"}) {
        Ids ids;
        encoder.encode(text, ids);
        add(ids.size());
        for (const std::int32_t id : ids) add(static_cast<std::uint64_t>(id));
      }
    }
    std::ostringstream hex;
    hex << std::hex << std::setw(16) << std::setfill('0') << hash;
    CAPTURE(first);
    CHECK(hex.str() == checksums[i]);
  }
}

TEST_CASE("bpe: every token of GPT-2 is the encoding of its own bytes") {
  BpeEncoder encoder(gpt2().bpe());
  std::int64_t unused = 0;
  for (std::int32_t id = 0; id < gpt2().vocab_size(); ++id) {
    if (id == gpt2().end_of_text()) continue;
    Ids ids;
    encoder.encode_piece(gpt2().token(id), ids);
    unused += ids != Ids{id};
  }
  CHECK(unused == 0);
}

TEST_CASE("bpe training: the textbook example") {
  const Tokenizer tokenizer = trained("aaabdaaabac", 260);
  REQUIRE(tokenizer.vocab_size() == 260);
  CHECK(tokenizer.token(256) == "aa");
  CHECK(tokenizer.token(257) == "ab");
  CHECK(tokenizer.token(258) == "aaab");
  CHECK(tokenizer.end_of_text() == 259);
  CHECK(tokenizer.encode("aaabdaaabac") == Ids{258, 'd', 258, 'a', 'c'});
}

// The definition of training, without any index: all pairs are counted again before each merge.
std::vector<std::string> train_by_counting(const PieceCounts& pieces, std::size_t tokens) {
  std::vector<std::string> table;
  for (int byte = 0; byte < 256; ++byte) table.emplace_back(1, static_cast<char>(byte));
  std::vector<std::pair<Ids, std::int64_t>> words;
  for (const auto& [piece, count] : pieces.counts()) {
    Ids ids;
    for (const char c : piece) ids.push_back(static_cast<unsigned char>(c));
    words.emplace_back(ids, count);
  }
  while (table.size() < tokens) {
    std::map<std::pair<std::int32_t, std::int32_t>, std::int64_t> counts;
    for (const auto& [ids, count] : words)
      for (std::size_t i = 0; i + 1 < ids.size(); ++i) counts[{ids[i], ids[i + 1]}] += count;
    if (counts.empty()) break;
    auto best = counts.begin();
    for (auto it = counts.begin(); it != counts.end(); ++it)
      if (it->second > best->second) best = it;
    const auto [left, right] = best->first;
    for (auto& [ids, count] : words) {
      for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        if (ids[i] != left || ids[i + 1] != right) continue;
        ids[i] = static_cast<std::int32_t>(table.size());
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
    table.push_back(table[static_cast<std::size_t>(left)] + table[static_cast<std::size_t>(right)]);
  }
  return table;
}

TEST_CASE("bpe training: the same tokens as counting all pairs again before each merge") {
  Rng rng(17);
  for (int round = 0; round < 12; ++round) {
    std::string text;
    for (int word = 0; word < 150; ++word)
      text += " " + random_letters(rng, 1 + rng.below(12), 1 + rng.below(5));
    PieceCounts pieces;
    pieces.add(text);
    const auto expected = train_by_counting(pieces, 400);
    const Tokenizer tokenizer = train_bpe(pieces, 401);
    REQUIRE(tokenizer.vocab_size() == std::ssize(expected) + 1);
    for (std::size_t id = 0; id < expected.size(); ++id)
      REQUIRE(tokenizer.token(static_cast<std::int32_t>(id)) == expected[id]);
  }
}

TEST_CASE("bpe training: it stops when no pair is left, and no token is longer than 255 bytes") {
  CHECK(trained("ab ab", 1000).vocab_size() == 256 + 2 + 1);  // "ab" and " ab"
  const Tokenizer long_tokens = trained(std::string(4096, 'x'), 1000);
  std::size_t longest = 0;
  for (std::int32_t id = 0; id < long_tokens.vocab_size(); ++id)
    longest = std::max(longest, long_tokens.token(id).size());
  CHECK(longest > 127);
  CHECK(longest <= 255);
  PieceCounts none;
  none.add("");
  CHECK(train_bpe(none, 300).vocab_size() == 257);
  CHECK_THROWS_WITH(train_bpe(none, 256), contains("256") && contains("257"));
}

TEST_CASE("bpe training: the same tokens on any number of threads, and for text in parts") {
  Rng rng(23);
  std::string text;
  while (text.size() < (std::size_t{3} << 20)) text += random_letters(rng, 1 + rng.below(9), 5) + " ";
  const test::RestoreThreads restore;
  set_threads(1);
  const Tokenizer one = trained(text, 600);
  set_threads(3);
  const Tokenizer three = trained(text, 600);
  PieceCounts parts;
  const std::size_t cut = cut_before(text, text.size() / 3);
  parts.add(std::string_view(text).substr(0, cut));
  parts.add(std::string_view(text).substr(cut));
  const Tokenizer in_parts = train_bpe(parts, 600);
  for (std::int32_t id = 0; id < 600; ++id) {
    REQUIRE(one.token(id) == three.token(id));
    REQUIRE(one.token(id) == in_parts.token(id));
  }
}

TEST_CASE("bpe training: if there are too many different pieces, the rare ones become a sample") {
  PieceCounts pieces(100);
  std::string common;
  for (int i = 0; i < 100; ++i) common += " cat";
  pieces.add(common);
  CHECK(!pieces.sampled());
  std::string rare;
  for (int i = 0; i < 26; ++i) rare += std::string(" rare") + static_cast<char>('a' + i);
  pieces.add(rare);
  CHECK(pieces.sampled());
  CHECK(pieces.counts().at(" cat") == 100);
  std::int64_t kept = 0;
  for (const auto& [piece, count] : pieces.counts()) {
    if (piece == " cat") continue;
    CHECK((count > 1 && std::has_single_bit(static_cast<std::uint64_t>(count))));
    ++kept;
  }
  CHECK(kept > 0);
  CHECK(kept <= (100 - 4) / 6);  // so the limit of 100 bytes is kept
}

TEST_CASE("bpe training: a text of one letter is learned, also if it is longer than the memory of the counts") {
  PieceCounts pieces;
  const std::string text(PieceCounts::kMostPieceBytes + 100000, 'a');
  pieces.add(text);
  CHECK(!pieces.sampled());
  std::int64_t bytes = 0;
  for (const auto& [piece, count] : pieces.counts()) bytes += std::ssize(piece) * count;
  CHECK(bytes == std::ssize(text));
  const Tokenizer tokenizer = train_bpe(pieces, 264);
  REQUIRE(tokenizer.vocab_size() == 264);
  CHECK(tokenizer.token(256) == "aa");
  CHECK(tokenizer.token(262).size() == 128);
}

// In languages without blanks nearly every piece occurs once. Text of 4,000 words of two letters in random
// order: its pairs are as frequent in a sample as in the whole, so the sample gives tokens of the same
// length.
TEST_CASE("bpe training: a text whose pieces occur once gives long tokens, also from a sample") {
  Rng rng(7);
  std::string text;
  while (text.size() < 400000) {
    for (int word = 0; word < 12; ++word) {
      const auto w = static_cast<int>(rng.next() % 400);
      text += static_cast<char>('a' + w % 20);
      text += static_cast<char>('a' + w / 20);
    }
    text += '.';
  }
  const auto bytes_per_token = [&](std::size_t most_bytes) {
    PieceCounts pieces(most_bytes);
    pieces.add(text);
    CHECK(pieces.sampled() == (most_bytes < text.size()));
    const Tokenizer tokenizer = train_bpe(pieces, 656);
    CHECK(tokenizer.vocab_size() == 656);
    return static_cast<double>(text.size()) / static_cast<double>(tokenizer.encode(text).size());
  };
  CHECK(bytes_per_token(50000) > 0.9 * bytes_per_token(1 << 20));
}

TEST_CASE("merges files: what is written is read back the same") {
  const test::TemporaryDirectory directory;
  const std::string text = "the cat sat on the mat \xf0\x9f\x98\x80 and it's 42 degrees\n";
  const Tokenizer tokenizer = trained(text, 300);
  write_merges_directory(tokenizer, directory / "hf");
  const Tokenizer read = Tokenizer::read(directory / "hf");
  CHECK(read.vocab_size() == tokenizer.vocab_size());
  CHECK(read.end_of_text() == tokenizer.end_of_text());
  CHECK(read.encode(text) == tokenizer.encode(text));
  const Tokenizer words({"ab", "<|endoftext|>"}, 1);
  CHECK_THROWS_WITH(write_merges_directory(words, directory / "no"), contains("expected a BPE"));
  CHECK_FALSE(std::filesystem::exists(directory / "no"));
}

std::string vocabulary_of(std::initializer_list<const char*> merged) {
  nlohmann::ordered_json vocabulary;
  for (int byte = 33; byte < 127; ++byte) vocabulary[std::string(1, static_cast<char>(byte))] = byte - 33;
  for (const char* token : merged) vocabulary[token] = vocabulary.size();
  vocabulary["<|endoftext|>"] = vocabulary.size();
  return vocabulary.dump();
}

TEST_CASE("merges files: files that contradict each other are refused, and the message says where") {
  const auto parse = [](const std::string& vocabulary, const std::string& merges) {
    return parse_merges(vocabulary, "v.json", merges, "m.txt");
  };
  const std::string vocabulary = vocabulary_of({"ab", "abc"});
  CHECK(parse(vocabulary, "#version: 0.2\na b\r\nab c\n").encode("abcab") == Ids{95, 94});
  CHECK_THROWS_WITH(parse(vocabulary, "a b\n"), contains("m.txt") && contains("no merge for token 95, abc"));
  CHECK_THROWS_WITH(parse(vocabulary, "ab c\na b\n"), contains("m.txt:2") && contains("order of the merges"));
  CHECK_THROWS_WITH(parse(vocabulary, "a b\na bc\n"), contains("m.txt:2"));
  CHECK_THROWS_WITH(parse(vocabulary, "a b\nabc\n"), contains("m.txt:2") && contains("\"abc\""));
  CHECK_THROWS_WITH(parse(vocabulary, "a b\nab c\nx y\n"), contains("m.txt:3"));
  CHECK_THROWS_WITH(parse("[1]", ""), contains("v.json") && contains("expected a JSON object"));
  CHECK_THROWS_WITH(parse(R"({"a": 0, "b": 0})", ""), contains("v.json") && contains("id 0"));
  CHECK_THROWS_WITH(parse(R"({"a": 0, "b": 2})", ""), contains("v.json") && contains("0 .. V-1=1"));
  CHECK_THROWS_WITH(parse(R"({"a": 0, "b c": 1})", ""), contains("byte alphabet"));
  CHECK_THROWS_WITH(parse(R"({"a": 0, "b": 1})", ""), contains("no token <|endoftext|>"));
  const test::TemporaryDirectory empty;
  CHECK_THROWS_WITH(read_merges_directory(empty.path()), contains(empty.path()) && contains("merges.txt"));
}

}  // namespace
}  // namespace inkling
