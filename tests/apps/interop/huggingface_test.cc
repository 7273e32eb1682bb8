// GPT-2s that transformers has saved, and files that only look like them.
#include "apps/interop/huggingface.h"

#include <filesystem>

#include "apps/interop/gpt2_safetensors.h"
#include "apps/interop/huggingface_config.h"
#include "apps/interop/llmc.h"
#include "core/error.h"
#include "tests/apps/interop/models.h"

namespace inkling {
namespace {

using namespace inkling::test;
namespace fs = std::filesystem;
using nlohmann::json;

// transformers computes the expected logits in float64. They are as large as 10.
constexpr double kLogits = 1e-4;

std::string converted(const StoredModel& model, const TemporaryDirectory& directory) {
  const std::string path = directory / "model.bin";
  AtomicFile file(path);
  write_llmc_model(file, path, model);
  file.commit();
  return path;
}

// A copy of a golden directory in which a test changes something.
struct Copy {
  TemporaryDirectory directory;

  explicit Copy(const std::string& golden) {
    fs::copy(golden, directory.path(), fs::copy_options::recursive);
  }
  void change_config(const std::string& key, const json& value) {
    json config = json::parse(read_text(directory / "config.json"));
    config[key] = value;
    write_text(directory / "config.json", config.dump());
  }
  void refused(const std::string& message) const {
    CHECK_THROWS_WITH(read_huggingface_model(directory.path()),
                      contains(directory.path()) && contains(message));
  }
};

// The tensors of a file as a test changes them: name, dtype, shape and bytes.
struct Changed {
  struct Tensor {
    std::string name, dtype;
    std::vector<std::int64_t> shape;
    std::string bytes;
  };
  std::vector<Tensor> tensors;

  explicit Changed(const std::string& path) {
    const FileView file(path);
    for (const SafetensorsTensor& t : parse_safetensors(ByteReader(file)).tensors) {
      const std::string bytes(reinterpret_cast<const char*>(t.bytes.data()), t.bytes.size());
      tensors.push_back({t.name, t.dtype, t.shape, bytes});
    }
  }
  Tensor& operator[](const std::string& name) {
    return *std::find_if(tensors.begin(), tensors.end(), [&](const Tensor& t) { return t.name == name; });
  }
  void write(const std::string& path) const {
    std::vector<SafetensorsTensor> described;
    std::string data;
    for (const Tensor& t : tensors) {
      described.push_back({t.name, t.dtype, t.shape, {}});
      data += t.bytes;
    }
    write_text(path, safetensors_header({}, described) + data);
  }
};

const std::string kGolden = "tests/goldens/huggingface";

TEST_CASE("huggingface: converted models have transformers' logits: one file, several files, and f16") {
  for (const std::string end : {"", "_shards", "_f16"}) {
    INFO(end);
    const TemporaryDirectory directory;
    const std::string path = converted(read_huggingface_model(kGolden + end), directory);
    CHECK(difference_from_golden(path, kGolden + end) < kLogits);
  }
}

TEST_CASE("huggingface: a square matrix that is not transposed changes the logits") {
  const TemporaryDirectory directory;
  StoredModel model = read_huggingface_model(kGolden);
  model.tensors[index_of({kAttprojw, 1}, model.config)].order = MatrixOrder::out_in;
  CHECK(difference_from_golden(converted(model, directory), kGolden) > 1e-2);
}

TEST_CASE("huggingface: several files give the same bytes as one file") {
  const TemporaryDirectory one, several;
  CHECK(read_text(converted(read_huggingface_model(kGolden), one)) ==
        read_text(converted(read_huggingface_model(kGolden + "_shards"), several)));
}

TEST_CASE("huggingface: dimensions come from config.json") {
  const GPT2Config config = read_huggingface_model(kGolden).config;
  CHECK(config == GPT2Config{.max_seq_len = 16, .vocab_size = 101, .layers = 2, .heads = 2, .channels = 16});
}

TEST_CASE("huggingface: settings that change what GPT-2 computes are refused") {
  const auto refused = [](const char* key, const json& value, const std::string& message) {
    INFO(key);
    Copy copy(kGolden);
    copy.change_config(key, value);
    copy.refused(message);
  };
  refused("n_layer", 3, "the tensors have 2 layers, expected n_layer=3");
  refused("n_layer", 1, "the tensors have 2 layers, expected n_layer=1");
  refused("n_head", 3, "expected a multiple of the number of heads (NH), which is 3");
  refused("n_embd", 18, "shape is (101, 16), expected (101, 18)");
  refused("n_positions", 17, "wpe.weight: shape is (16, 16), expected (17, 16)");
  refused("vocab_size", 102, "wte.weight: shape is (101, 16), expected (102, 16)");
  refused("n_embd", "16", "n_embd is \"16\"");
  refused("n_inner", 65, "n_inner is 65, expected null or 4 n_embd = 64");
  refused("model_type", "llama", "model_type is \"llama\", expected \"gpt2\"");
  refused("activation_function", "relu", "activation_function is \"relu\"");
  refused("layer_norm_epsilon", 1e-6, "layer_norm_epsilon is 1e-06, expected 1e-05");
  refused("scale_attn_weights", false, "scale_attn_weights is false, expected true");
  refused("scale_attn_by_inverse_layer_idx", true, "scale_attn_by_inverse_layer_idx is true, expected false");
  refused("add_cross_attention", true, "add_cross_attention is true, expected false");
  refused("tie_word_embeddings", false, "tie_word_embeddings is false, expected true");
}

TEST_CASE("huggingface: settings with GPT-2's values, and settings for training, are accepted") {
  Copy copy(kGolden);
  copy.change_config("n_inner", 64);
  copy.change_config("activation_function", "gelu_pytorch_tanh");
  copy.change_config("resid_pdrop", 0.5);
  CHECK_NOTHROW(read_huggingface_model(copy.directory.path()));
  write_text(copy.directory / "config.json",
             R"({"n_layer":2,"n_head":2,"n_embd":16,"n_positions":16,"vocab_size":101})");
  CHECK_NOTHROW(read_huggingface_model(copy.directory.path()));
}

TEST_CASE("huggingface: a config.json that is missing or has a key twice is refused") {
  Copy copy(kGolden);
  write_text(copy.directory / "config.json", R"({"n_layer":2,"n_layer":2})");
  copy.refused("the key \"n_layer\" appears twice");
  fs::remove(copy.directory / "config.json");
  copy.refused("config.json: cannot open");
}

TEST_CASE("huggingface: OpenAI's names without transformer., masks, and a head equal to wte are accepted") {
  Copy copy(kGolden);
  const std::string path = copy.directory / "model.safetensors";
  Changed file(path);
  for (Changed::Tensor& t : file.tensors) t.name = t.name.substr(std::string("transformer.").size());
  Changed::Tensor head = file["wte.weight"];
  head.name = "lm_head.weight";
  file.tensors.push_back(head);
  file.tensors.push_back({"h.1.attn.bias", "U8", {1, 1, 2, 2}, "1234"});
  file.tensors.push_back({"h.0.attn.masked_bias", "F32", {}, "1234"});
  file.write(path);
  copy.change_config("tie_word_embeddings", false);
  const TemporaryDirectory directory;
  CHECK(difference_from_golden(converted(read_huggingface_model(copy.directory.path()), directory), kGolden) <
        kLogits);
}

TEST_CASE("huggingface: a head that differs from wte in one bit, or in its shape, is refused") {
  Copy copy(kGolden);
  const std::string path = copy.directory / "model.safetensors";
  Changed file(path);
  Changed::Tensor head = file["transformer.wte.weight"];
  head.name = "lm_head.weight";
  head.bytes.back() ^= 1;
  file.tensors.push_back(head);
  file.write(path);
  copy.refused("lm_head.weight differs from wte.weight");
  file["lm_head.weight"].shape = {16, 101};
  file.write(path);
  copy.refused("lm_head.weight: shape is (16, 101), expected (101, 16)");
}

TEST_CASE(
    "huggingface: a tensor that is unknown, missing, there twice, or has a wrong shape or dtype is refused") {
  const auto refused = [](const std::string& message, auto&& change) {
    INFO(message);
    Copy copy(kGolden);
    const std::string path = copy.directory / "model.safetensors";
    Changed file(path);
    change(file);
    file.write(path);
    copy.refused(message);
  };
  const std::string qkv = "transformer.h.1.attn.c_attn.weight", ln = "transformer.ln_f.weight";
  refused("extra.weight is not a tensor of GPT-2", [&](Changed& file) {
    file.tensors.push_back({"extra.weight", "F32", {1}, "1234"});
  });
  refused("h.1.attn.c_attn.weight is missing",
          [&](Changed& file) { file[qkv].name = "transformer.h.1.attn.bias"; });
  refused("wte.weight is the same tensor as", [&](Changed& file) {
    file.tensors.push_back(file["transformer.wte.weight"]);
    file.tensors.back().name = "wte.weight";
  });
  // As nn.Linear would store it: a transposed matrix that is not square.
  refused("h.1.attn.c_attn.weight: shape is (48, 16), expected (16, 48)", [&](Changed& file) {
    file[qkv].shape = {48, 16};
  });
  refused("ln_f.weight: shape is (16, 1), expected (16)", [&](Changed& file) { file[ln].shape = {16, 1}; });
  refused("ln_f.weight: dtype is I32, expected F32, F16 or BF16",
          [&](Changed& file) { file[ln].dtype = "I32"; });
}

TEST_CASE(
    "huggingface: a table whose files have other tensors, or that names another directory, is refused") {
  const std::string shards = kGolden + "_shards";
  const auto refused = [&](const std::string& message, auto&& change) {
    INFO(message);
    Copy copy(shards);
    const std::string path = copy.directory / "model.safetensors.index.json";
    json index = json::parse(read_text(path));
    change(index["weight_map"]);
    write_text(path, index.dump());
    copy.refused(message);
  };
  const std::string wte = "transformer.wte.weight";
  const std::string first = "model-00001-of-00003.safetensors";
  refused("wte.weight is in this file, but ", [&](json& map) { map.erase(wte); });
  refused("says that it is in model-0000",
          [&](json& map) { map[wte] = map[wte] == first ? "model-00002-of-00003.safetensors" : first; });
  refused("tensors, but its files have 28 of these tensors", [&](json& map) { map["transformer.extra"] = first; });
  refused("is \"../a.safetensors\", expected the name of a .safetensors file in the same directory",
          [&](json& map) { map[wte] = "../a.safetensors"; });
  refused("is \"/etc/passwd\"", [&](json& map) { map[wte] = "/etc/passwd"; });
  refused("none.safetensors: cannot open", [&](json& map) {
    for (json& file : map) {
      if (file == first) file = "none.safetensors";
    }
  });
  refused("wte.weight is 1, expected a text", [&](json& map) { map[wte] = 1; });
}

TEST_CASE("huggingface: the single file is used if a directory also has a table") {
  Copy copy(kGolden);
  write_text(copy.directory / "model.safetensors.index.json", "{}");
  CHECK_NOTHROW(read_huggingface_model(copy.directory.path()));
}

TEST_CASE("huggingface: tensors of different types become f32, each with its own numbers") {
  const std::string path16 = kGolden + "_f16/model.safetensors";
  Copy copy(kGolden);
  const std::string path = copy.directory / "model.safetensors";
  Changed file(path), half(path16);
  const std::string name = "transformer.h.0.mlp.c_fc.weight";
  file[name] = half[name];
  file.write(path);
  const StoredModel model = read_huggingface_model(copy.directory.path());
  CHECK(model.at({kFcw, 0}).type == FloatType::f16);
  CHECK(model.type() == FloatType::f32);
  const TemporaryDirectory directory, directory16;
  GPT2 mixed = load_model(converted(model, directory));
  GPT2 all16 = load_model(converted(read_huggingface_model(kGolden + "_f16"), directory16));
  const std::size_t first_layer = 4 * 16 * 16;
  const auto got = mixed.parameters().values_of(kFcw), want = all16.parameters().values_of(kFcw);
  CHECK(std::equal(got.begin(), got.begin() + first_layer, want.begin()));
  CHECK(!std::equal(got.begin(), got.end(), want.begin()));
}

TEST_CASE(
    "huggingface: a single file needs a number of heads: from its metadata, config.json, or OpenAI's table") {
  const Copy copy(kGolden);
  const std::string path = copy.directory / "model.safetensors";
  CHECK(read_safetensors_model(path).config.heads == 2);
  fs::remove(copy.directory / "config.json");
  CHECK_THROWS_WITH(read_safetensors_model(path), contains("the number of heads is unknown"));
  const TemporaryDirectory directory;
  AtomicFile file(directory / "own.safetensors");
  write_safetensors_model(file, read_huggingface_model(kGolden));
  file.commit();
  CHECK(read_safetensors_model(directory / "own.safetensors").config ==
        read_huggingface_model(kGolden).config);
}

}  // namespace
}  // namespace inkling
