// inkling convert, as a user runs it.
#include <filesystem>

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

TEST_CASE("convert: the form follows from the name, and a model file comes back byte for byte") {
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
  // An existing directory is a directory, whatever its name is.
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
         {"a.bin is also read", "another place"});
  expect({"convert", "--from", dir / "hf", "--to", dir / "hf/"}, 2, {"model.safetensors is also read"});
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
  refused(dir / "a.gguf", 2, {"--from ", "a.gguf: GGUF files are only written"});
  fs::create_directory(dir / "empty");
  refused(dir / "empty", 1,
          {"empty: has no model, expected model.safetensors or model.safetensors.index.json"});
  fs::copy_file(dir / "a.bin", dir / "a.model");
  refused(dir / "a.model", 2, {"a.model: the name does not show the form"});
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

TEST_CASE("convert: --from and --to are required") {
  expect({"convert", "--to", "x.bin"}, 2, {"--from is required"});
  expect({"convert", "--from", "x.bin"}, 2, {"--to is required"});
}

}  // namespace
}  // namespace inkling
