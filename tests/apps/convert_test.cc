// inkling convert, as a user runs it.
#include <filesystem>

#include "apps/tokenizer/tokenizer.h"
#include "tests/apps/interop/models.h"
#include "tests/apps/process.h"

namespace inkling {
namespace {

using namespace inkling::test;
namespace fs = std::filesystem;

void convert(const std::string& from, const std::string& to) {
  const Outcome outcome = run({"convert", "--from", from, "--to", to});
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  CHECK_THAT(outcome.out, contains(to + ": GPT-2, maxT "));
}

TEST_CASE("convert: the name decides the format; a model file has the same bytes after two conversions") {
  const TemporaryDirectory dir;
  write_random_model(dir / "a.bin");
  convert(dir / "a.bin", dir / "new/hf");
  convert(dir / "new/hf", dir / "a.safetensors");
  convert(dir / "a.safetensors", dir / "b.bin");
  CHECK(read_text(dir / "b.bin") == read_text(dir / "a.bin"));
  convert(dir / "new/hf/model.safetensors", dir / "c.bin");
  CHECK(read_text(dir / "c.bin") == read_text(dir / "a.bin"));
  convert(dir / "a.bin", dir / "a.gguf");
  CHECK(read_text(dir / "a.gguf").starts_with("GGUF"));
  // If a directory with this name exists, the format is Hugging Face's, whatever the name is.
  fs::create_directory(dir / "odd.bin");
  convert(dir / "a.bin", dir / "odd.bin");
  CHECK(fs::exists(dir / "odd.bin/config.json"));
}

TEST_CASE("convert: a model of transformers generates transformers' greedy text") {
  const TemporaryDirectory dir;
  const std::string golden = "tests/goldens/huggingface";
  convert(golden, dir / "model.bin");
  const nlohmann::json expected = read_golden(golden);
  const auto listed = [](const nlohmann::json& ids, const std::string& separator) {
    std::string text;
    for (const int id : ids) text += std::to_string(id) + separator;
    return text;
  };
  std::string prompt = listed(expected["prompt"], ",");
  prompt.pop_back();
  const Outcome outcome =
      run({"generate", "--model", dir / "model.bin", "--prompt-tokens", prompt, "--greedy", "--ignore-end",
           "--max-tokens", std::to_string(expected["greedy"].size())});
  CHECK_THAT(outcome.out, contains(listed(expected["greedy"], " ")));
}

TEST_CASE("convert: a file that is read is never written, under any name") {
  const TemporaryDirectory dir;
  write_random_model(dir / "a.bin");
  convert(dir / "a.bin", dir / "hf");
  const std::string model = read_text(dir / "a.bin"), weights = read_text(dir / "hf/model.safetensors");
  expect({"convert", "--from", dir / "a.bin", "--to", dir / "a.bin"}, 2,
         {"a.bin, which is also read", "another path"});
  expect({"convert", "--from", dir / "hf", "--to", dir / "hf/"}, 2, {"hf/config.json, which is also read"});
  expect({"convert", "--from", dir / "hf", "--to", dir / "hf/model.safetensors"}, 2, {"is also read"});
  expect({"convert", "--from", dir / "hf/model.safetensors", "--to", dir / "hf"}, 2, {"is also read"});
  fs::create_symlink(dir / "a.bin", dir / "link.bin");
  expect({"convert", "--from", dir / "link.bin", "--to", dir / "a.bin"}, 2, {"is also read"});
  CHECK(read_text(dir / "a.bin") == model);
  CHECK(read_text(dir / "hf/model.safetensors") == weights);
}

TEST_CASE("convert: a model that cannot be read is refused, and nothing is written") {
  const TemporaryDirectory dir;
  write_random_model(dir / "a.bin");
  const auto refused = [&](const std::string& from, int status, const std::vector<std::string>& words) {
    expect({"convert", "--from", from, "--to", dir / "out.bin"}, status, words);
    CHECK(!fs::exists(dir / "out.bin"));
  };
  refused(dir / "none", 1, {"none: cannot open: No such file or directory"});
  refused(dir / "none.bin", 1, {"none.bin: cannot open: No such file or directory"});
  refused(dir / "a.gguf", 2, {"--from ", "a.gguf: inkling can write GGUF files but not read them"});
  fs::create_directory(dir / "empty");
  refused(dir / "empty", 1,
          {"empty: has no model, expected model.safetensors or model.safetensors.index.json"});
  fs::copy_file(dir / "a.bin", dir / "a.model");
  refused(dir / "a.model", 2, {"a.model: unknown format"});
  fs::copy_file(dir / "a.bin", dir / "a.safetensors");
  refused(dir / "a.safetensors", 1, {"a.safetensors: not a safetensors file: the header has "});
  fs::resize_file(dir / "a.bin", 5000);
  refused(dir / "a.bin", 1, {"a.bin: file size is 5000 bytes"});
}

TEST_CASE("convert: a place that cannot be written is named") {
  const TemporaryDirectory dir;
  write_random_model(dir / "a.bin");
  expect({"convert", "--from", dir / "a.bin", "--to", dir / "none/b.bin"}, 1, {"none/b.bin: cannot write"});
  expect({"convert", "--from", dir / "a.bin", "--to", dir / "a.bin/hf"}, 1,
         {"a.bin/hf: cannot create the directory"});
}

// Tokens for the 130 ids of kSmall: bytes, then "ab", "abc" and end-of-text.
Tokenizer small_tokenizer() {
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 127; ++byte) tokens.emplace_back(1, static_cast<char>(byte));
  tokens.insert(tokens.end(), {"ab", "abc", "<|endoftext|>"});
  return Tokenizer(tokens, 129);
}

TEST_CASE("convert: a model's tokenizer has the same bytes after Hugging Face's format and back") {
  const TemporaryDirectory dir;
  write_random_model(dir / "a.bin");
  small_tokenizer().write(dir / "a_tokenizer.bin");
  convert(dir / "a.bin", dir / "hf");
  CHECK(read_text(dir / "hf/merges.txt") == "#version: 0.2\na b\nab c\n");
  const nlohmann::json vocabulary = nlohmann::json::parse(read_text(dir / "hf/vocab.json"));
  CHECK(vocabulary.size() == 130);
  CHECK(vocabulary["\u0120"] == 32);
  CHECK(vocabulary["abc"] == 128);
  const nlohmann::json config = nlohmann::json::parse(read_text(dir / "hf/tokenizer_config.json"));
  CHECK(config["tokenizer_class"] == "GPT2Tokenizer");
  CHECK(config["model_max_length"] == 5);
  CHECK(config["eos_token"] == "<|endoftext|>");
  CHECK(nlohmann::json::parse(read_text(dir / "hf/special_tokens_map.json"))["bos_token"] == "<|endoftext|>");
  CHECK(nlohmann::json::parse(read_text(dir / "hf/config.json"))["eos_token_id"] == 129);
  convert(dir / "hf", dir / "b.bin");
  CHECK(read_text(dir / "b_tokenizer.bin") == read_text(dir / "a_tokenizer.bin"));
}

TEST_CASE("convert: --tokenizer names a file or a directory, and must fit the model and the format") {
  const TemporaryDirectory dir;
  write_random_model(dir / "a.bin");
  fs::create_directory(dir / "elsewhere");
  small_tokenizer().write(dir / "elsewhere/t.bin");
  const Words to_hf = {"convert", "--from", dir / "a.bin", "--to", dir / "hf", "--tokenizer"};
  REQUIRE(run(to_hf + Words{dir / "elsewhere/t.bin"}).status == 0);
  const Words to_gguf = {"convert", "--from", dir / "a.bin", "--to", dir / "a.gguf", "--tokenizer"};
  const Outcome outcome = run(to_gguf + Words{dir / "hf"});
  CHECK_THAT(outcome.out, contains("with its tokenizer (BPE)"));
  CHECK_THAT(read_text(dir / "a.gguf"), contains("tokenizer.ggml.merges"));
  Tokenizer::bytes().write(dir / "elsewhere/bytes.bin");
  expect(to_gguf + Words{dir / "elsewhere/bytes.bin"}, 1,
         {"bytes.bin: the tokenizer has 257 tokens", "has 130"});
  expect(to_gguf + Words{dir / "none.bin"}, 1, {"none.bin: cannot open"});
  expect({"convert", "--from", dir / "a.bin", "--to", dir / "a.safetensors", "--tokenizer", dir / "hf"}, 2,
         {"--tokenizer: a .safetensors file cannot have a tokenizer", "a.safetensors"});
}

TEST_CASE("convert: a tokenizer beside the model that does not fit is left out, and a line says why") {
  const TemporaryDirectory dir;
  write_random_model(dir / "a.bin");
  std::vector<std::string> words(130, "same");
  Tokenizer(words, 0).write(dir / "tokenizer.bin");
  const Outcome outcome = run({"convert", "--from", dir / "a.bin", "--to", dir / "hf"});
  CHECK(outcome.status == 0);
  CHECK_THAT(outcome.err, contains("without a tokenizer: ") && contains("a word tokenizer"));
  CHECK(fs::exists(dir / "hf/model.safetensors"));
  CHECK(!fs::exists(dir / "hf/vocab.json"));
  expect({"convert", "--from", dir / "a.bin", "--to", dir / "b", "--tokenizer", dir / "tokenizer.bin"}, 1,
         {"this is a word tokenizer, expected a BPE tokenizer"});
  // A model file can have any tokenizer.
  convert(dir / "a.bin", dir / "c.bin");
  CHECK(read_text(dir / "c_tokenizer.bin") == read_text(dir / "tokenizer.bin"));
}

TEST_CASE("convert: a tokenizer that is read is never written") {
  const TemporaryDirectory dir;
  write_random_model(dir / "a.bin");
  small_tokenizer().write(dir / "a_tokenizer.bin");
  convert(dir / "a.bin", dir / "hf");
  fs::remove(dir / "hf/model.safetensors");
  fs::remove(dir / "hf/config.json");
  expect({"convert", "--from", dir / "a.bin", "--to", dir / "hf", "--tokenizer", dir / "hf"}, 2,
         {"hf/vocab.json, which is also read"});
  CHECK(!fs::exists(dir / "hf/model.safetensors"));
  // The tokenizer of the model that is written is the tokenizer that is read, so it stays.
  const std::string tokenizer = read_text(dir / "a_tokenizer.bin");
  fs::create_directory(dir / "other");
  write_random_model(dir / "other/a.bin");
  expect({"convert", "--from", dir / "other/a.bin", "--to", dir / "a_tokenizer.bin", "--tokenizer",
          dir / "a_tokenizer.bin"},
         2, {"a_tokenizer.bin, which is also read"});
  CHECK(read_text(dir / "a_tokenizer.bin") == tokenizer);
}

TEST_CASE("convert: a directory in several files is not overwritten by its own model") {
  const TemporaryDirectory dir;
  fs::copy("tests/goldens/huggingface_shards", dir / "hf");
  const std::string config = read_text(dir / "hf/config.json");
  expect({"convert", "--from", dir / "hf", "--to", dir / "hf"}, 2, {"config.json, which is also read"});
  CHECK(read_text(dir / "hf/config.json") == config);
}

TEST_CASE("convert: --from and --to are required") {
  expect({"convert", "--to", "x.bin"}, 2, {"--from is required"});
  expect({"convert", "--from", "x.bin"}, 2, {"--to is required"});
}

}  // namespace
}  // namespace inkling
