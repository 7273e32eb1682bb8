// Limits of texts, grammars and settings. Each is tested on both sides.
#include <cmath>

#include "apps/text/batches.h"
#include "apps/text/grammar.h"
#include "apps/text/shard.h"
#include "apps/tokenize/tokenize.h"
#include "core/error.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;

TEST_CASE("limits: a list of 63 or 64 rows has each row with the same probability; 65 rows are refused") {
  for (const int rows : {63, 64, 65}) {
    std::string text = "list x\n r0";
    for (int i = 1; i < rows; ++i) text += " / r" + std::to_string(i);
    text += "\n\nstory = A {r0}.";
    if (rows == 65) {
      CHECK_THROWS_WITH(Grammar(text), contains("has 65 rows, expected at most 64"));
      continue;
    }
    const Grammar grammar(text);
    for (int i = 0; i < rows; ++i) {
      Ids ids = grammar.tokenizer().encode("A r" + std::to_string(i) + ".");
      ids.insert(ids.begin(), grammar.tokenizer().end_of_text());
      std::vector<float> nats(ids.size());
      grammar.score(ids, nats);
      double total = 0;
      for (float n : nats) total += static_cast<double>(n);
      CHECK(std::abs(total - std::log(rows)) < 1e-6);
    }
  }
}

TEST_CASE("limits: a weight of 999 or 1000 gives the right probability; 1001 is refused") {
  for (const int weight : {999, 1000}) {
    const Grammar grammar("story = A (" + std::to_string(weight) + " b | c).");
    Ids ids = grammar.tokenizer().encode("A c.");
    ids.insert(ids.begin(), grammar.tokenizer().end_of_text());
    std::vector<float> nats(ids.size());
    grammar.score(ids, nats);
    CHECK(std::abs(static_cast<double>(nats[2]) - std::log(weight + 1.0)) < 1e-5);
  }
  CHECK_THROWS_WITH(Grammar("story = A (1001 b | c)."), contains("a weight is outside 1 .. 1000"));
}

TEST_CASE("limits: a token of 254 or 255 bytes is written and read back; 256 bytes are refused") {
  const TemporaryDirectory directory;
  for (const std::size_t length : {254u, 255u}) {
    const Tokenizer tokenizer({std::string(length, 'y'), "<|endoftext|>"}, 1);
    tokenizer.write(directory / "t.bin");
    CHECK(Tokenizer::read(directory / "t.bin").token(0) == std::string(length, 'y'));
  }
  CHECK_THROWS_WITH(Tokenizer({std::string(256, 'y'), "<|endoftext|>"}, 1, "t"),
                    contains("t: token 0 has 256 bytes, expected 1 .. 255"));
}

TEST_CASE("limits: a message shows 24 bytes of a text completely, and cuts off a 25th") {
  const Tokenizer tokenizer({"a", "ab", "<|endoftext|>"}, 2);
  CHECK_THROWS_WITH(tokenizer.encode(std::string(24, 'x')), contains("\"" + std::string(24, 'x') + "\""));
  CHECK_THROWS_WITH(tokenizer.encode(std::string(25, 'x')), contains("\"" + std::string(24, 'x') + "...\""));
}

TEST_CASE("limits: a text of 8 tokens is cut into shards; 7 tokens are refused") {
  const TemporaryDirectory directory;
  TokenizeSettings settings;
  settings.inputs = {directory / "my.txt"}, settings.out = directory / "my", settings.bytes = true;
  settings.min_val_tokens = 4;
  test::write_text(settings.inputs[0], "sevenhe");  // one token for each byte, and end-of-text
  const TokenizeResult result = tokenize_files(settings);
  CHECK(result.train_tokens >= 2);
  CHECK(result.val_tokens >= 2);
  test::write_text(settings.inputs[0], "sixsix");
  CHECK_THROWS_WITH(tokenize_files(settings), contains("has 7 tokens, expected at least 8"));
}

// ShardWriter writes 2^16 bytes at a time, and check_tokens() checks 2^16 tokens at a time.
TEST_CASE("limits: shards of one buffer of tokens, or one token less or more, have the appended tokens") {
  const TemporaryDirectory directory;
  for (const std::int64_t vocab_size : {65535, 65536}) {  // two and four bytes per token
    for (const std::int64_t n : {16383, 16384, 16385, 32767, 32768, 32769, 65535, 65536, 65537}) {
      Ids ids(static_cast<std::size_t>(n));
      for (std::size_t i = 0; i < ids.size(); ++i)
        ids[i] = static_cast<std::int32_t>(static_cast<std::int64_t>(i) * 7919 % (vocab_size - 1));
      ids.back() = static_cast<std::int32_t>(vocab_size - 1);
      ShardWriter writer(directory / "s.bin", vocab_size);
      writer.append(ids);
      writer.commit();
      const Shard shard(directory / "s.bin");
      REQUIRE(shard.size() == n);
      Ids back(ids.size());
      shard.copy(0, n, back.data());
      CHECK(back == ids);
      CHECK_NOTHROW(shard.check_tokens(vocab_size));
      CHECK_THROWS_WITH(shard.check_tokens(vocab_size - 1),
                        contains("token " + std::to_string(n - 1) + " is"));
    }
  }
}

TEST_CASE("limits: B and T up to 2^31 are accepted if the shard is long enough; more is refused") {
  const TemporaryDirectory directory;
  ShardWriter writer(directory / "s.bin", 10);
  writer.append(Ids{1, 2, 3, 4});
  writer.commit();
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  const auto opened = [&](std::int64_t B, std::int64_t T) {
    BatchSettings settings;
    settings.B = B, settings.T = T;
    return Batches({directory / "s.bin"}, settings);
  };
  CHECK_THROWS_WITH(opened(kMost, 1), contains("has 4 tokens, expected at least B*T+1=2147483649"));
  CHECK_THROWS_WITH(opened(1, kMost), contains("has 4 tokens, expected at least B*T+1=2147483649"));
  CHECK_THROWS_WITH(opened(kMost + 1, 1), contains("B=2147483649 and T=1, expected 1 .. 2147483648 each"));
  CHECK_THROWS_WITH(opened(1, kMost + 1), contains("B=1 and T=2147483649, expected 1 .. 2147483648 each"));
}

}  // namespace
}  // namespace inkling
