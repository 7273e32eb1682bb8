// Which tokenizer belongs to a model file.
#include <filesystem>

#include "apps/tokenizer/merges_files.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "tests/apps/process.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("find tokenizer: the name that begins like the model's, the longest first; then tokenizer.bin") {
  const TemporaryDirectory dir;
  const std::string model = dir / "gpt2_124M.bin";
  CHECK(tokenizer_path_beside(model).empty());
  CHECK(!find_tokenizer("", model));
  const auto add = [&](const std::string& name) { Tokenizer::bytes().write(dir / name); };
  add("other_tokenizer.bin");
  add("_tokenizer.bin");
  CHECK(tokenizer_path_beside(model).empty());
  add("tokenizer.bin");
  CHECK(tokenizer_path_beside(model) == dir / "tokenizer.bin");
  add("gpt2_tokenizer.bin");
  CHECK(tokenizer_path_beside(model) == dir / "gpt2_tokenizer.bin");
  add("gpt2_124M_tokenizer.bin");
  CHECK(tokenizer_path_beside(model) == dir / "gpt2_124M_tokenizer.bin");
  CHECK(tokenizer_path_for(model) == dir / "gpt2_124M_tokenizer.bin");
  CHECK(find_tokenizer("", model)->vocab_size() == 257);
}

TEST_CASE("find tokenizer: a directory with vocab.json and merges.txt is the tokenizer of its models") {
  const TemporaryDirectory dir;
  write_text(dir / "vocab.json", "");
  CHECK(tokenizer_path_beside(dir / "model.bin").empty());
  std::filesystem::remove(dir / "vocab.json");
  write_merges_directory(Tokenizer::bytes(), dir.path());
  CHECK(tokenizer_path_beside(dir / "model.bin") == dir.path());
  CHECK(find_tokenizer("", dir / "model.bin")->encode("ab") == std::vector<std::int32_t>{97, 98});
}

TEST_CASE("find tokenizer: a model without a directory has its tokenizer in the working directory") {
  CHECK(tokenizer_path_for("gpt2.bin") == "gpt2_tokenizer.bin");
  CHECK(tokenizer_path_beside("none.bin").empty());
}

// The text with one space between words.
std::string in_one_line(const std::string& text) {
  std::istringstream words(text);
  std::string line;
  for (std::string word; words >> word;) line += (line.empty() ? "" : " ") + word;
  return line;
}

TEST_CASE("find tokenizer: help, errors and README state the rule in the same words") {
  const std::string rule(kTokenizerRule);
  for (const char* command : {"generate", "chat", "explain", "eval", "inspect", "convert", "train"}) {
    INFO(command);
    CHECK_THAT(in_one_line(run({command, "--help"}).out), contains(rule));
  }
  CHECK_THAT(run({"chat", "--model", "tests/goldens/small.bin"}).err, contains(rule));
  CHECK_THAT(run({"generate", "--model", "tests/goldens/small.bin", "--prompt", "a"}).err, contains(rule));
  CHECK_THAT(in_one_line(read_text("README.md")), contains(rule));
}

TEST_CASE("merges files: a tokenizer with the same token twice cannot be written") {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.insert(tokens.end(), {" b", " b", "<|endoftext|>"});
  CHECK_THROWS_WITH(written_tokens(Tokenizer(tokens, 258)),
                    contains("the token \"\u0120b\" twice, with the ids 256 and 257"));
}

}  // namespace
}  // namespace inkling
