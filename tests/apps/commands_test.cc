// Commands as processes: the exact texts on stdout and stderr, and files in the current directory.
#include "apps/tokenizer/tokenizer.h"
#include "nn/checkpoint.h"
#include "nn/generate.h"
#include "tests/apps/process.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("tokenize: the output has the size of the text, and the names and sizes of the written files") {
  const TemporaryDirectory temporary;
  std::string text;
  while (text.size() < 12000) text += "words and words. ";
  text.resize(12000);
  write_text(temporary / "text", text + "\n<|endoftext|>\n" + std::string(987, 'x'));
  const Outcome outcome =
      run({"tokenize", "--input", temporary / "text", "--out", temporary / "my", "--bytes"});
  CHECK(outcome.status == 0);
  // Documents of 12,001 and 987 bytes, and an end-of-text token before each: 12,990 tokens. The last 2,049
  // are kept for validation, and 4 more up to the end of a word. No document begins near that place, so one
  // more end-of-text token is added there.
  CHECK(outcome.out == "12,988 bytes, 2 documents\n" + temporary.path() +
                           "/my_tokenizer.bin: 257 tokens, 1.00 bytes of text in a token\n" +
                           temporary.path() + "/my_train.bin: 10,937 tokens\n" + temporary.path() +
                           "/my_val.bin: 2,054 tokens, 15.8% of all, the end of the text\n");
  CHECK(outcome.err.empty());
  CHECK(Shard(temporary / "my_train.bin").size() == 10'937);
  CHECK(Shard(temporary / "my_val.bin").size() == 2'054);
}

TEST_CASE("tokenize: --input - reads standard input, and reports separators inside lines") {
  const TemporaryDirectory temporary;
  const std::string text = "some <|endoftext|> text of a pipe\n";
  write_text(temporary / "text", text);
  const std::string command = "cat " + temporary / "text" + " | " + binary() +
                              " tokenize --bytes --input - --out " + temporary / "my" + " > " +
                              temporary / "out" + " 2> " + temporary / "err";
  REQUIRE(std::system(command.c_str()) == 0);
  CHECK_THAT(read_text(temporary / "out"), contains("34 bytes, 1 document\n") && contains("% of all"));
  CHECK_THAT(read_text(temporary / "err"), contains("<|endoftext|> is inside a line 1 time;"));
  CHECK(Shard(temporary / "my_train.bin").size() + Shard(temporary / "my_val.bin").size() >= 35);
}

TEST_CASE("tokenize: --val-fraction is the share of the tokens that is kept for validation") {
  const TemporaryDirectory temporary;
  write_text(temporary / "text", std::string(19'999, 'x'));
  const Outcome outcome = run({"tokenize", "--input", temporary / "text", "--out", temporary / "my",
                               "--bytes", "--val-fraction", "0.25"});
  CHECK_THAT(outcome.out, contains("my_train.bin: 15,000 tokens") && contains("my_val.bin: 5,001 tokens"));
}

// A copy of the golden model with a tokenizer beside it. Token `id` is the letter 'a' + id % 25 and a space;
// end-of-text is "END".
std::string model_with_tokenizer(const TemporaryDirectory& temporary) {
  std::filesystem::copy("tests/goldens/small.bin", temporary / "model.bin");
  std::vector<std::string> tokens;
  for (int id = 0; id < 130; ++id) tokens.push_back(std::string(1, static_cast<char>('a' + id % 25)) + " ");
  tokens.emplace_back("END");
  Tokenizer(tokens, 130).write(temporary / "tokenizer.bin");
  return temporary / "model.bin";
}

TEST_CASE("generate: without a prompt, a text begins after end-of-text and uses the seed's random numbers") {
  const TemporaryDirectory temporary;
  const std::string path = model_with_tokenizer(temporary);
  GPT2 model = load_model(path);
  const Tokenizer tokenizer = Tokenizer::read(temporary / "tokenizer.bin");
  GenerateSettings settings;
  settings.max_tokens = 9;
  settings.sampler.temperature = 0.7f;
  settings.sampler.top_k = 20;
  settings.sampler.top_p = 0.9f;
  const std::int32_t start = tokenizer.end_of_text();
  std::string want;
  for (std::uint64_t text = 0; text < 2; ++text) {
    Rng rng(5, text);
    want += text == 0 ? "" : "---\n";
    generate(model, std::span(&start, 1), settings, rng, [&](std::int32_t id) {
      want += tokenizer.decode(std::span(&id, 1));
      return true;
    });
    want += "\n";
  }
  const std::vector<std::string> flags = {"generate", "--model",       path,  "--max-tokens", "9",  "--seed",
                                          "5",        "--temperature", "0.7", "--top-k",      "20", "--top-p",
                                          "0.9",      "--ignore-end"};
  CHECK(run(flags + std::vector<std::string>{"--num-samples", "2"}).out == want);
  const Outcome one = run(flags);
  CHECK(one.out == want.substr(0, want.find('\n') + 1));
  CHECK(one.err.starts_with("9 tokens, "));
}

TEST_CASE("generate: end-of-text ends a text and is not printed; with --ignore-end the text continues") {
  const TemporaryDirectory temporary;
  const std::string path = model_with_tokenizer(temporary);
  GPT2 model = load_model(path);
  // The weights of the last norm are 0, so its output is its bias. Then every position has the same logits:
  // end-of-text has the largest, and all others are equal.
  for (float& w : model.parameters().values_of(kLnfw)) w = 0;
  for (float& b : model.parameters().values_of(kLnfb)) b = 0;
  model.parameters().values_of(kLnfb)[0] = 1;
  for (std::size_t v = 0; v < 131; ++v) model.parameters().values_of(kWte)[v * 30] = v == 130 ? 9.0f : 0.0f;
  save_model(path, model.config(), model.parameters().values());
  const std::vector<std::string> greedy = {"generate", "--model", path, "--greedy", "--max-tokens", "3"};
  const Outcome ended = run(greedy);
  CHECK(ended.out == "\n");
  CHECK(ended.err.starts_with("0 tokens, "));
  CHECK(run(greedy + std::vector<std::string>{"--ignore-end"}).out == "ENDENDEND\n");
}

TEST_CASE("commands: files in the current directory are written, and found beside others, by name only") {
  const TemporaryDirectory temporary;
  const std::string program = "'" + std::filesystem::absolute(binary()).string() + "' ";
  const auto succeeds = [&](const std::string& command) {
    INFO(command);
    REQUIRE(std::system(("cd '" + temporary.path() + "' && " + command + " 2> err").c_str()) == 0);
  };
  write_text(temporary / "text", std::string(5000, 'x'));
  succeeds(program + "tokenize --input text --out my --bytes > out");
  succeeds(program +
           "train --data 'my_train*.bin' --out run --layers 1 --channels 16 --heads 2 --seq-len 16 --steps 1 "
           "--precision f32 > out");
  const auto config = nlohmann::json::parse(read_text(temporary / "run/config.json"));
  CHECK(config.at("data") == temporary / "my_train*.bin");
  CHECK(config.at("val_data") == temporary / "my_val*.bin");
  CHECK(config.at("tokenizer") == temporary / "my_tokenizer.bin");
  succeeds("mv run/model.bin run/tokenizer.bin .");
  succeeds(program + "generate --model model.bin --prompt xx --max-tokens 1 --greedy > out");
  CHECK(read_text(temporary / "out").starts_with("xx"));
  succeeds(program + "eval --model model.bin --data my_val.bin > out");
  CHECK_THAT(read_text(temporary / "out"), contains("bits per byte"));
}

}  // namespace
}  // namespace inkling
