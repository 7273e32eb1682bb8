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
  CHECK(stopped.at("tokens").size() == 2);  // the two tokens of the stop text are not part of the text
}

// The bytes of all tokens of a line of --logprobs.
std::string bytes_of(const json& line) {
  std::string bytes;
  for (const json& token : line.at("tokens")) {
    for (const json& byte : token.at("bytes")) bytes += static_cast<char>(byte.get<int>());
  }
  return bytes;
}

TEST_CASE("generate text: --logprobs has exactly the tokens that wrote the text before a stop text") {
  const TemporaryDirectory temporary;
  const Words common = {"generate",     "--model", kModel,         "--tokenizer", two_letters(temporary),
                        "--max-tokens", "6",       "--ignore-end", "--seed",      "3",
                        "--logprobs"};
  const json whole = json::parse(run_here(common).out);
  const std::string text = whole.at("text");
  REQUIRE(bytes_of(whole) == text);
  for (std::size_t begin = 0; begin < 8; ++begin) {
    for (const std::size_t length : {std::size_t{1}, std::size_t{3}, std::size_t{4}}) {
      const std::string stop = text.substr(begin, length);
      const std::size_t end = text.find(stop);
      INFO("stop " << stop << " in " << text);
      const json line = json::parse(run_here(common + Words{"--stop", stop}).out);
      CHECK(line.at("end") == "stop");
      CHECK(line.at("text") == text.substr(0, end));
      // A token that has the end of the text inside it is whole.
      CHECK(bytes_of(line) == text.substr(0, (end + 1) / 2 * 2));
      for (std::size_t i = 0; i < line.at("tokens").size(); ++i)
        CHECK(line.at("tokens").at(i) == whole.at("tokens").at(i));
    }
  }
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
  CHECK(bytes_of(line) == "\xc3");
}

TEST_CASE(
    "generate text: --logprobs of a character in two tokens: the text has it, and the bytes are the text's") {
  const TemporaryDirectory temporary;
  std::vector<std::string> tokens;
  for (int id = 0; id <= 130; ++id) tokens.push_back(id % 2 == 0 ? "\xa9x\xc3" : "\xa9y\xc3");
  Tokenizer(tokens, 130).write(temporary / "halves.bin");
  const Words common = {"generate",     "--model", kModel,         "--tokenizer", temporary / "halves.bin",
                        "--max-tokens", "4",       "--ignore-end", "--logprobs"};
  const json line = json::parse(run_here(common).out);
  const std::string bytes = bytes_of(line), text = line.at("text");
  CHECK(bytes.size() == 12);
  // All but the first byte and the last one are whole characters.
  CHECK(text == "\xef\xbf\xbd" + bytes.substr(1, 10) + "\xef\xbf\xbd");
  CHECK_THAT(text, contains("\xc3\xa9"));
  for (const json& token : line.at("tokens"))
    CHECK(token.at("text").get<std::string>().starts_with("\xef\xbf\xbd"));
  const json stopped = json::parse(run_here(common + Words{"--stop", "\xc3\xa9"}).out);
  CHECK(stopped.at("end") == "stop");
  CHECK(stopped.at("text").get<std::string>().size() == 4);  // U+FFFD and a letter
  CHECK(stopped.at("tokens").size() == 1);
}

TEST_CASE("generate text: --logprobs without a tokenizer has ids as text, and no bytes") {
  const json line = json::parse(
      run_here({"generate", "--model", kModel, "--max-tokens", "2", "--ignore-end", "--logprobs"}).out);
  REQUIRE(line.at("tokens").size() == 2);
  CHECK(line.at("text") == line.at("tokens").at(0).at("text").get<std::string>() +
                               line.at("tokens").at(1).at("text").get<std::string>());
  CHECK_FALSE(line.at("tokens").at(0).contains("bytes"));
}

}  // namespace
}  // namespace inkling
