// inkling generate and inspect as processes: their output is compared with the library's results.
#include "nn/generate.h"

#include <cmath>

#include "apps/tokenizer/tokenizer.h"
#include "nn/checkpoint.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr std::int64_t kTokens = 12;

std::string generate(const std::vector<std::string>& flags) {
  const std::vector<std::string> common = {"generate",     "--model", "tests/goldens/small.bin",
                                           "--max-tokens", "12",      "--ignore-end"};
  const Outcome outcome = run(common + flags);
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK_THAT(outcome.err, contains("tokens/s"));
  return outcome.out;
}

std::int64_t words(const std::string& text) {
  return std::count(text.begin(), text.end(), ' ');
}

TEST_CASE("generate: --greedy after a prompt of ids prints the library's tokens") {
  GPT2 model = load_model("tests/goldens/small.bin");
  GenerateSettings settings;
  settings.max_tokens = kTokens;
  settings.sampler.temperature = 0;
  const std::vector<std::int32_t> prompt = {1, 2, 3};
  Rng rng(1);
  std::string want;
  generate(model, prompt, settings, rng, [&](std::int32_t id) {
    want += str(id, ' ');
    return true;
  });
  CHECK(generate({"--prompt-tokens", "1,2,3", "--greedy"}) == want + "\n");
}

TEST_CASE("generate: the first of several texts is the same as alone, and the seed decides the text") {
  const std::string one = generate({"--seed", "7"}), three = generate({"--seed", "7", "--num-samples", "3"});
  CHECK(words(one) == kTokens);
  CHECK(three.starts_with(one));
  CHECK(words(three) == 3 * kTokens);
  CHECK_THAT(three, contains("---\n"));
  CHECK(generate({"--seed", "7", "--threads", "1"}) == one);
  CHECK(generate({"--seed", "8"}) != one);
}

TEST_CASE("generate: bf16 and int8 also write --max-tokens tokens") {
  for (const char* precision : {"bf16", "int8"})
    CHECK(words(generate({"--precision", precision, "--num-samples", "2"})) == 2 * kTokens);
}

TEST_CASE("generate: with a tokenizer, the prompt and the output are text") {
  const TemporaryDirectory temporary;
  write_text(temporary / "text", std::string(5000, 'x'));
  REQUIRE(run({"tokenize", "--input", temporary / "text", "--out", temporary / "my", "--bytes"}).status == 0);
  REQUIRE(run({"train", "--out", temporary / "run", "--data", temporary / "my_train.bin", "--layers", "1",
               "--channels", "16", "--heads", "2", "--seq-len", "16", "--steps", "30", "--lr", "0.01"})
              .status == 0);
  const Outcome outcome = run({"generate", "--model", temporary / "run/model.bin", "--prompt", "xx",
                               "--max-tokens", "5", "--greedy"});
  INFO(outcome.err);
  CHECK(outcome.out == "xxxxxxx\n");
}

TEST_CASE(
    "generate: a weight that is infinite or NaN is an error that names the tensor, and nothing is printed") {
  const TemporaryDirectory temporary;
  write_text(temporary / "text", std::string(5000, 'x'));
  for (const float odd : {INFINITY, -INFINITY, NAN}) {
    std::string model = read_text("tests/goldens/small.bin");
    std::memcpy(model.data() + 1024 + 4 * 30 * 5, &odd, 4);  // in wte, for token 5
    write_text(temporary / "odd.bin", model);
    for (const std::vector<std::string>& flags : {std::vector<std::string>{},
                                                  {"--greedy"},
                                                  {"--prompt-tokens", "5", "--precision", "int8"},
                                                  {"--num-samples", "3"}}) {
      const Outcome outcome =
          run(std::vector<std::string>{"generate", "--model", temporary / "odd.bin"} + flags);
      CHECK(outcome.status == 1);
      CHECK(outcome.out.empty());
      CHECK_THAT(outcome.err, contains("odd.bin: weight 150 of wte (256, 30) is"));
    }
  }
}

TEST_CASE("generate: nothing is printed if the model fails before the first token") {
  const TemporaryDirectory temporary;
  std::string model = read_text("tests/goldens/small.bin");
  const std::vector<float> large(30, 3e38f);
  std::memcpy(model.data() + model.size() - 4 * 60, large.data(), 4 * 30);  // lnfw: the logits overflow
  write_text(temporary / "large.bin", model);
  std::vector<std::string> tokens;
  for (std::size_t id = 0; id < 131; ++id)
    tokens.push_back({static_cast<char>('a' + id / 26), static_cast<char>('a' + id % 26)});
  Tokenizer(tokens, 130).write(temporary / "tokenizer.bin");
  const Outcome outcome = run({"generate", "--model", temporary / "large.bin", "--prompt", "abcd"});
  CHECK(outcome.status == 1);
  CHECK(outcome.out.empty());
  CHECK_THAT(outcome.err, contains("the scores of the next token are not finite"));
}

TEST_CASE("inspect: shards, models and tokenizers are described with their contents") {
  const TemporaryDirectory temporary;
  const auto inspected = [](const std::string& path) {
    const Outcome outcome = run({"inspect", path});
    INFO(outcome.err);
    CHECK(outcome.status == 0);
    return outcome.out;
  };
  CHECK_THAT(inspected("tests/goldens/curve_tokens.bin"), contains("token shard, uint16"));
  CHECK_THAT(inspected("tests/goldens/small.bin"), contains("wte"));
  write_text(temporary / "text", std::string(3000, 'x') + std::string(3000, 'y'));
  REQUIRE(run({"tokenize", "--input", temporary / "text", "--out", temporary / "my", "--bytes"}).status == 0);
  CHECK_THAT(inspected(temporary / "my_tokenizer.bin"), contains("end-of-text is 256"));
  CHECK_THAT(inspected(temporary / "my_train.bin"), contains("ids 120 to 256, 3 different"));
}

}  // namespace
}  // namespace inkling
