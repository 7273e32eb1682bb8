// inkling inspect against small files with known contents. The expected numbers are computed by hand.
#include <cmath>

#include "apps/ranks/optimizer_state.h"
#include "apps/text/token_flags.h"
#include "apps/tokenizer/tokenizer.h"
#include "nn/checkpoint.h"
#include "optim/adamw.h"
#include "tests/apps/process.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

std::string inspected(const std::vector<std::string>& paths) {
  const Outcome outcome = run(std::vector<std::string>{"inspect"} + paths);
  INFO(outcome.err);
  CHECK(outcome.status == 0);
  return outcome.out;
}

TEST_CASE("inspect: each kind of file is described with its numbers, several files one after another") {
  const TemporaryDirectory temporary;
  // p = 1/2, 1/4, 1/4: entropy 1.5 ln 2 = 1.0397.
  write_shard(temporary / "shard.bin", std::vector<std::int32_t>{7, 3, 7, 9}, 100);
  std::vector<std::int32_t> wide(1200, 5);
  wide[1] = 69999;
  write_shard(temporary / "wide.bin", wide, 70000);
  Tokenizer({"a", "bcd", "<|endoftext|>", "zz"}, 2).write(temporary / "tokenizer.bin");
  AdamW adamw({{0, 5, true, "w"}}, {});
  save_state(temporary / "optimizer.bin", whole_state(adamw), only_rank());
  TokenFlagsWriter mask(kLossMask, temporary / "shard.mask");
  mask.append(std::vector<std::uint8_t>{0, 1, 1});
  mask.commit();
  TokenFlagsWriter starts(kDocumentStarts, temporary / "shard.starts", 9);
  starts.append(std::vector<std::uint8_t>{1, 0, 0});
  starts.commit();
  const std::string text =
      inspected({temporary / "shard.bin", temporary / "wide.bin", temporary / "tokenizer.bin",
                 temporary / "optimizer.bin", temporary / "shard.mask", temporary / "shard.starts", "tests/goldens/small_debug_state.bin"});
  const std::string dir = temporary.path() + "/";
  CHECK_THAT(text, contains(dir + "shard.bin: token shard, uint16\n  4 tokens, ids 3 to 9, 3 different\n"
                                  "  entropy of single tokens 1.0397 nats"));
  CHECK_THAT(text, contains("\n  begins 7 3 7 9\n"));
  CHECK_THAT(text,
             contains(dir + "wide.bin: token shard, uint32\n  1,200 tokens, ids 5 to 69999, 2 different\n"));
  CHECK_THAT(text, contains("\n  begins 5 69999 5 5 5 5 5 5 5 5 5 5 5 5 5 5\n"));  // the first sixteen tokens
  CHECK_THAT(text, contains(dir + "tokenizer.bin: tokenizer, words\n"
                                  "  4 tokens, the longest has 13 bytes; end-of-text is 2\n"));
  CHECK_THAT(
      text,
      contains(dir + "optimizer.bin: optimiser state (magic, version, arrays, floats in each: low, high)"
                     ", 1,064 bytes\n  header 20261122 1 2 5\n"));
  CHECK_THAT(text, contains(dir + "shard.mask: loss mask\n  3 tokens, 2 counted as targets\n" + dir +
                            "shard.starts: file of document starts\n  3 tokens, 1 at the beginning of a document\n"
                            "  packed into rows of T=9\n"));
  CHECK_THAT(text, contains("small_debug_state.bin: debug state (magic, version, B, T), 145,136 bytes\n"
                            "  header 20240327 "));
}

TEST_CASE(
    "inspect: each tensor of a model has mean, deviation, extremes and the number of non-finite values") {
  const TemporaryDirectory temporary;
  GPT2 model(GPT2Config{.max_seq_len = 4, .vocab_size = 7, .layers = 1, .heads = 1, .channels = 2});
  // The last norm's weights are -1 and 3: mean 1, deviation 2. One of its biases is infinite.
  const std::span<float> weights = model.parameters().values_of(kLnfw),
                         biases = model.parameters().values_of(kLnfb);
  weights[0] = -1, weights[1] = 3;
  biases[0] = INFINITY, biases[1] = 0.5f;
  save_model(temporary / "model.bin", model.config(), model.parameters().values());
  const std::string text = inspected({temporary / "model.bin"});
  // wte 128 x 2 (V padded), wpe 4 x 2, a block of 12 C^2 + 13 C = 74, and the last norm's 4.
  CHECK_THAT(text, contains("model.bin: GPT-2 checkpoint, f32\n"
                            "  maxT 4  V 7 (padded to 128)  L 1  NH 1  C 2  head size 2\n"
                            "  342 parameters, 2,392 bytes\n"));
  const auto line_of = [&](const std::string& tensor) {
    const std::size_t begin = text.find("  " + tensor + " ");
    REQUIRE(begin != std::string::npos);
    std::istringstream words(text.substr(begin, text.find('\n', begin) - begin));
    std::vector<std::string> found;
    for (std::string word; words >> word;) found.push_back(word);
    return found;
  };
  using Words = std::vector<std::string>;
  CHECK(line_of("lnfw") == Words{"lnfw", "(2)", "1.00000", "2.00000", "-1.00000", "3.00000", "0"});
  CHECK(line_of("lnfb") == Words{"lnfb", "(2)", "0.50000", "0.00000", "0.50000", "0.50000", "1"});
  CHECK(line_of("wte") == Words{"wte", "(128,", "2)", "0.00000", "0.00000", "0.00000", "0.00000", "0"});
}

TEST_CASE("inspect: a file of an unknown kind is refused with one line that has its first number") {
  const TemporaryDirectory temporary;
  write_text(temporary / "odd", std::string("\x01\0\0\0", 4));
  expect({"inspect", temporary / "odd"}, 1,
         {"odd: not a file of inkling or llm.c: it starts with 1", "20240326", "20261122"});
  write_text(temporary / "short", "\x01");
  expect({"inspect", temporary / "short"}, 1, {"short: not a file of inkling or llm.c"});
  write_text(temporary / "text", "ab");
  expect({"inspect", temporary / "text"}, 1, {"text: is text, expected a file of inkling or llm.c"});
}

}  // namespace
}  // namespace inkling
