// The flags of `inkling generate` that are about text: --prompt-file, --stop and --logprobs.
#include <nlohmann/json.hpp>

#include "apps/tokenizer/tokenizer.h"
#include "nn/checkpoint.h"
#include "tests/apps/command_line.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

const std::string kModel = "tests/goldens/small.bin";  // V 131

// A tokenizer whose tokens have two letters each.
std::string two_letters(const TemporaryDirectory& temporary) {
  std::vector<std::string> tokens;
  for (int id = 0; id <= 130; ++id)
    tokens.push_back({static_cast<char>('a' + id / 26), static_cast<char>('a' + id % 26)});
  Tokenizer(tokens, 130).write(temporary / "words.bin");
  return temporary / "words.bin";
}

TEST_CASE("generate text: --prompt-file gives the same text as --prompt, without the line break at its end") {
  const TemporaryDirectory temporary;
  const Words common = {"generate",     "--model", kModel,        "--tokenizer", two_letters(temporary),
                        "--max-tokens", "5",       "--ignore-end"};
  const std::string want = run_here(common + Words{"--prompt", "bbad"}).out;
  CHECK(want.starts_with("bbad"));
  for (const char* content : {"bbad", "bbad\n", "bbad\r\n"}) {
    write_text(temporary / "prompt", content);
    CHECK(run_here(common + Words{"--prompt-file", temporary / "prompt"}).out == want);
  }
  write_text(temporary / "prompt", "bbad\n\n");  // only one line break is left out
  CHECK_THROWS_WITH(run_here(common + Words{"--prompt-file", temporary / "prompt"}),
                    contains("fits the text at byte 4"));
  CHECK_THROWS_WITH(run_here(common + Words{"--prompt-file", temporary / "none"}), contains("none"));
  CHECK_THROWS_WITH(run_here({"generate", "--model", kModel, "--prompt-file", temporary / "words.bin"}),
                    contains("--prompt-file needs a tokenizer"));
}

TEST_CASE("generate text: --stop ends the text before a stop text, also if it spans tokens, in every text") {
  const TemporaryDirectory temporary;
  const Words common = {"generate",     "--model", kModel,        "--tokenizer", two_letters(temporary),
                        "--max-tokens", "20",      "--ignore-end"};
  const std::string whole = run_here(common).out;
  REQUIRE(whole.size() == 41);
  const std::string across = whole.substr(9, 4);  // the second half of a token, a token, half a token
  REQUIRE(whole.find(across) == 9);
  CHECK(run_here(common + Words{"--stop", across}).out == whole.substr(0, 9) + "\n");
  CHECK(run_here(common + Words{"--stop", "no such text", "--stop", across}).out ==
        whole.substr(0, 9) + "\n");
  CHECK(run_here(common + Words{"--stop", "no such text"}).out == whole);
  const std::string three = run_here(common + Words{"--stop", across, "--num-samples", "3"}).out;
  CHECK(three.starts_with(whole.substr(0, 9) + "\n---\n"));
  CHECK(three.size() > 60);  // the other texts have no stop text
  CHECK_THROWS_WITH(run_here({"generate", "--model", kModel, "--stop", "a"}),
                    contains("--stop needs a tokenizer"));
  CHECK_THROWS_WITH(run_here(common + Words{"--stop", ""}), contains("--stop is empty"));
}

TEST_CASE("generate text: --logprobs prints a line of JSON for each text, with every token") {
  const TemporaryDirectory temporary;
  const Words common = {"generate",     "--model", kModel,         "--tokenizer",   two_letters(temporary),
                        "--max-tokens", "6",       "--ignore-end", "--num-samples", "2",
                        "--seed",       "3"};
  const std::string plain = run_here(common).out, lines = run_here(common + Words{"--logprobs"}).out;
  std::istringstream in(lines);
  std::string line, texts;
  while (std::getline(in, line)) {
    const json text = json::parse(line);
    CHECK(text.at("end") == "max-tokens");
    std::string joined;
    for (const json& token : text.at("tokens")) {
      joined += token.at("text");
      CHECK(token.at("logprob") < 0);
      CHECK((token.at("id") >= 0 && token.at("id") < 131));
    }
    CHECK(text.at("tokens").size() == 6);
    CHECK(text.at("text") == joined);
    texts += (texts.empty() ? "" : "---\n") + joined + "\n";
  }
  CHECK(texts == plain);

  const std::string stop = plain.substr(4, 4);  // the third and the fourth token
  const json stopped =
      json::parse(run_here({"generate", "--model", kModel, "--tokenizer", temporary / "words.bin",
                            "--max-tokens", "6", "--ignore-end", "--seed", "3", "--logprobs", "--stop", stop})
                      .out);
  CHECK(stopped.at("end") == "stop");
  CHECK(stopped.at("text") == plain.substr(0, 4));
  CHECK(stopped.at("tokens").size() == 4);
}

TEST_CASE("generate text: bytes that are not UTF-8 are U+FFFD in the JSON") {
  const TemporaryDirectory temporary;
  Tokenizer(std::vector<std::string>(131, "\xc3"), 130).write(temporary / "halves.bin");
  const json line =
      json::parse(run_here({"generate", "--model", kModel, "--tokenizer", temporary / "halves.bin",
                            "--max-tokens", "1", "--ignore-end", "--logprobs"})
                      .out);
  CHECK(line.at("tokens").at(0).at("text") == "\xef\xbf\xbd");
  CHECK(line.at("text") == "\xef\xbf\xbd");
}

}  // namespace
}  // namespace inkling
