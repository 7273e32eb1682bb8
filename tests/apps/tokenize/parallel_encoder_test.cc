// ParallelEncoder: many texts are encoded on all threads, and come back in order.
#include "apps/tokenize/parallel_encoder.h"

#include "apps/tokenizer/bpe_training.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "tests/catch.h"
#include "tests/support.h"

namespace inkling {
namespace {

using test::contains;
using Ids = std::vector<std::int32_t>;

std::string words(Rng& rng, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes)
    text += std::to_string(rng.below(500)) + "word" + (rng.below(9) == 0 ? ".\n" : " ");
  return text;
}

// 8 MiB are encoded together, and texts over 256 KiB are cut: 20 MB of texts on both sides of both limits.
TEST_CASE("parallel encoder: the tokens do not depend on the number of threads or the lengths of the texts") {
  const test::RestoreThreads restore;
  Rng rng(9);
  std::vector<std::string> texts = {words(rng, 9 << 20), words(rng, 262'144), words(rng, 262'200), ""};
  for (int i = 0; i < 3000; ++i) texts.push_back(words(rng, rng.below(5000)));
  PieceCounts pieces;
  pieces.add(texts[1]);
  const Tokenizer tokenizer = train_bpe(pieces, 500);
  Ids expected[2];
  TextEncoder encoder(tokenizer);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    if (texts[i].empty()) continue;
    expected[i % 2].push_back(tokenizer.end_of_text());
    encoder.encode(texts[i], expected[i % 2]);
  }
  for (const int count : {1, 2, 5}) {
    set_threads(count);
    Ids got[2];
    ParallelEncoder parallel(tokenizer, [&](bool tag, std::span<const std::int32_t> ids) {
      got[tag ? 1 : 0].insert(got[tag ? 1 : 0].end(), ids.begin(), ids.end());
    });
    for (std::size_t i = 0; i < texts.size(); ++i) parallel.add(texts[i], true, i % 2 == 1, "file", 0);
    parallel.finish();
    // In parentheses: Catch2 would need minutes to print millions of ids.
    CHECK((got[0] == expected[0]));
    CHECK((got[1] == expected[1]));
  }
}

TEST_CASE("parallel encoder: a text that cannot be encoded is an error with its file and position") {
  const Tokenizer tokenizer({"a", "b", "<|endoftext|>"}, 2, "letters");
  ParallelEncoder encoder(tokenizer, [](bool, std::span<const std::int32_t>) {});
  encoder.add("abab", true, false, "one.txt", 0);
  encoder.add("abxab", true, false, "two.txt", 700);
  CHECK_THROWS_WITH(encoder.finish(),
                    contains("two.txt: the text from byte 700 on") && contains("at byte 2"));
}

TEST_CASE("cut_near: the end of the last word, or the beginning of a character") {
  CHECK(cut_near("some words", 9) == 4);
  CHECK(cut_near("0123456789", 7) == 7);
  CHECK(cut_near("\xc3\xa9\xc3\xa9", 3) == 2);
  CHECK(cut_near("\xc3\xa9", 1) == 0);
}

}  // namespace
}  // namespace inkling
