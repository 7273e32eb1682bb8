// GGUF files, read by a small reader that follows the description of the format and shares no code with the
// writer. tests/goldens/check_convert.py compares the same files with gguf and llama.cpp.
#include "apps/interop/gguf.h"

#include <filesystem>
#include <map>
#include <variant>

#include "apps/interop/huggingface.h"
#include "apps/interop/llmc.h"
#include "core/error.h"
#include "tests/apps/interop/models.h"

namespace inkling {
namespace {

using namespace inkling::test;

struct GgufFile {
  struct Tensor {
    std::vector<std::uint64_t> dims;
    std::uint32_t type;
    const std::byte* data;
  };
  // A number is stored as a double, an array as its elements.
  std::map<std::string, std::variant<double, std::string, std::vector<double>, std::vector<std::string>>>
      pairs;
  std::map<std::string, Tensor> tensors;

  explicit GgufFile(const FileView& file) {
    ByteReader in(file);
    CHECK(in.read<std::uint32_t>("magic") == 0x46554747);  // "GGUF"
    CHECK(in.read<std::uint32_t>("version") == 3);
    const auto tensor_count = in.read<std::uint64_t>("tensors"), pair_count = in.read<std::uint64_t>("pairs");
    for (std::uint64_t i = 0; i < pair_count; ++i) {
      const std::string key = text(in);
      read_value(in, key, in.read<std::uint32_t>("type"));
    }
    std::vector<std::pair<std::string, std::uint64_t>> offsets;
    for (std::uint64_t i = 0; i < tensor_count; ++i) {
      const std::string name = text(in);
      Tensor& tensor = tensors[name];
      tensor.dims.resize(in.read<std::uint32_t>("dimensions"));
      for (std::uint64_t& dim : tensor.dims) dim = in.read<std::uint64_t>("dimension");
      tensor.type = in.read<std::uint32_t>("type");
      offsets.emplace_back(name, in.read<std::uint64_t>("offset"));
      CHECK(offsets.back().second % 32 == 0);
    }
    CHECK(tensors.size() == tensor_count);
    in.take((32 - in.offset() % 32) % 32, "padding");
    const auto data = in.take(in.remaining_bytes(), "data");
    for (const auto& [name, offset] : offsets) tensors[name].data = data.data() + offset;
    CHECK(data.size() % 32 == 0);
  }
  double number(const std::string& key) const { return std::get<double>(pairs.at(key)); }
  std::string word(const std::string& key) const { return std::get<std::string>(pairs.at(key)); }
  std::vector<float> floats(const std::string& name) const {
    const Tensor& tensor = tensors.at(name);
    REQUIRE(tensor.type == 0);
    std::size_t count = 1;
    for (const std::uint64_t dim : tensor.dims) count *= dim;
    std::vector<float> values(count);
    std::memcpy(values.data(), tensor.data, count * 4);
    return values;
  }

 private:
  static std::string text(ByteReader& in) {
    const auto bytes = in.take(static_cast<std::int64_t>(in.read<std::uint64_t>("length")), "text");
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  static double number_of(ByteReader& in, std::uint32_t type) {
    if (type == 4) return in.read<std::uint32_t>("u32");
    if (type == 5) return in.read<std::int32_t>("i32");
    if (type == 6) return static_cast<double>(in.read<float>("f32"));
    REQUIRE(type == 7);
    return in.read<std::uint8_t>("bool");
  }
  void read_value(ByteReader& in, const std::string& key, std::uint32_t type) {
    if (type == 8) {
      pairs[key] = text(in);
    } else if (type != 9) {
      pairs[key] = number_of(in, type);
    } else {
      const auto element = in.read<std::uint32_t>("element");
      std::vector<std::string> texts;
      std::vector<double> numbers;
      for (auto left = in.read<std::uint64_t>("count"); left > 0; --left) {
        if (element == 8) {
          texts.push_back(text(in));
        } else {
          numbers.push_back(number_of(in, element));
        }
      }
      if (element == 8) {
        pairs[key] = texts;
      } else {
        pairs[key] = numbers;
      }
    }
  }
};

FileView written(const StoredModel& model, const Tokenizer* tokenizer, const std::string& path) {
  AtomicFile file(path);
  write_gguf(file, model, tokenizer);
  file.commit();
  return FileView(path);
}

TEST_CASE("gguf: the dimensions of the model are pairs") {
  const TemporaryDirectory directory;
  write_random_model(directory / "a.bin");
  const FileView view = written(read_llmc_model(directory / "a.bin"), nullptr, directory / "a.gguf");
  const GgufFile file(view);
  CHECK(file.word("general.architecture") == "gpt2");
  CHECK(file.number("general.alignment") == 32);
  CHECK(file.number("general.file_type") == 0);
  CHECK(file.number("gpt2.context_length") == 5);
  CHECK(file.number("gpt2.vocab_size") == 130);
  CHECK(file.number("gpt2.block_count") == 3);
  CHECK(file.number("gpt2.attention.head_count") == 2);
  CHECK(file.number("gpt2.embedding_length") == 4);
  CHECK(file.number("gpt2.feed_forward_length") == 16);
  CHECK(file.number("gpt2.attention.layer_norm_epsilon") == static_cast<double>(1e-5f));
  CHECK(file.word("tokenizer.ggml.model") == "none");
}

TEST_CASE(
    "gguf: every tensor has the model's numbers, innermost dimension first, and the head is wte again") {
  const TemporaryDirectory directory;
  write_random_model(directory / "a.bin");
  GPT2 model = load_model(directory / "a.bin");
  const FileView view = written(read_llmc_model(directory / "a.bin"), nullptr, directory / "a.gguf");
  const GgufFile file(view);
  CHECK(file.tensors.size() == 4 + 12 * 3 + 1);
  for (const LayerTensor& tensor : layer_tensors(kSmall)) {
    INFO(gguf_name(tensor));
    const std::vector<float> got = file.floats(gguf_name(tensor));
    const std::span<float> all = model.parameters().values_of(tensor.tensor);
    const auto want = all.subspan(static_cast<std::size_t>(tensor.layer) * got.size(), got.size());
    CHECK(std::equal(got.begin(), got.end(), want.begin()));
    const Shape shape = shape_of(tensor, kSmall);
    const auto& dims = file.tensors.at(gguf_name(tensor)).dims;
    REQUIRE(std::ssize(dims) == shape.rank);
    for (int axis = 0; axis < shape.rank; ++axis)
      CHECK(static_cast<std::int64_t>(dims[static_cast<std::size_t>(shape.rank - 1 - axis)]) == shape[axis]);
  }
  CHECK(file.floats("output.weight") == file.floats("token_embd.weight"));
}

TEST_CASE("gguf: matrices stay bf16 or f16; vectors and the position embedding are f32") {
  const TemporaryDirectory directory;
  write_random_model(directory / "a.bin", DType::bf16);
  const FileView bf16_view = written(read_llmc_model(directory / "a.bin"), nullptr, directory / "a.gguf");
  const FileView f16_view =
      written(read_huggingface_model("tests/goldens/huggingface_f16"), nullptr, directory / "b.gguf");
  const GgufFile bf16_file(bf16_view), f16_file(f16_view);
  CHECK(bf16_file.number("general.file_type") == 32);
  CHECK(f16_file.number("general.file_type") == 1);
  for (const auto& [name, tensor] : bf16_file.tensors)
    CHECK(tensor.type == (tensor.dims.size() == 2 && name != "position_embd.weight" ? 30 : 0));
  for (const auto& [name, tensor] : f16_file.tensors)
    CHECK(tensor.type == (tensor.dims.size() == 2 && name != "position_embd.weight" ? 1 : 0));
  GPT2 model = load_model(directory / "a.bin");
  const std::vector<float> wpe = bf16_file.floats("position_embd.weight");
  CHECK(std::equal(wpe.begin(), wpe.end(), model.parameters().values_of(kWpe).begin()));
}

TEST_CASE("gguf: the tokenizer is written in GPT-2's byte alphabet, with its merges and its end-of-text") {
  const TemporaryDirectory directory;
  write_random_model(directory / "a.bin");
  const Tokenizer tokenizer({"a", " ", "any bytes", " a"}, 2);
  const FileView view = written(read_llmc_model(directory / "a.bin"), &tokenizer, directory / "a.gguf");
  const GgufFile file(view);
  using Texts = std::vector<std::string>;
  CHECK(file.word("tokenizer.ggml.model") == "gpt2");
  CHECK(std::get<Texts>(file.pairs.at("tokenizer.ggml.tokens")) ==
        Texts{"a", "\u0120", "<|endoftext|>", "\u0120a"});
  CHECK(std::get<Texts>(file.pairs.at("tokenizer.ggml.merges")) == Texts{"\u0120 a"});
  CHECK(std::get<std::vector<double>>(file.pairs.at("tokenizer.ggml.token_type")) ==
        std::vector<double>{1, 1, 3, 1});
  CHECK(file.number("tokenizer.ggml.bos_token_id") == 2);
  CHECK(file.number("tokenizer.ggml.eos_token_id") == 2);
  CHECK(file.number("tokenizer.ggml.add_bos_token") == 1);
}

TEST_CASE("gguf: a word tokenizer cannot be written") {
  const TemporaryDirectory directory;
  write_random_model(directory / "a.bin");
  const Tokenizer words({"ab", "<|endoftext|>"}, 1);
  CHECK_THROWS_WITH(written(read_llmc_model(directory / "a.bin"), &words, directory / "a.gguf"),
                    contains("is a word tokenizer, expected a BPE tokenizer"));
  CHECK(!std::filesystem::exists(directory / "a.gguf"));
}

}  // namespace
}  // namespace inkling
