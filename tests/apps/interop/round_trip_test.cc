// Models that are converted and converted back: every byte is the same.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "apps/interop/gpt2_safetensors.h"
#include "apps/interop/huggingface.h"
#include "apps/interop/llmc.h"
#include "core/poison.h"
#include "tests/apps/interop/models.h"

namespace inkling {
namespace {

using namespace inkling::test;

std::string written_llmc(const StoredModel& model, const std::string& path) {
  AtomicFile file(path);
  write_llmc_model(file, path, model);
  file.commit();
  return read_text(path);
}

std::string written_safetensors(const StoredModel& model, const std::string& path) {
  AtomicFile file(path);
  write_safetensors_model(file, model);
  file.commit();
  return read_text(path);
}

TEST_CASE(
    "round trip: a model file of f32 or bf16 has the same bytes after either Hugging Face format and back") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    INFO(name(dtype));
    const TemporaryDirectory directory;
    write_random_model(directory / "a.bin", dtype);
    const std::string bytes = read_text(directory / "a.bin");
    const StoredModel model = read_llmc_model(directory / "a.bin");
    write_huggingface_model(directory / "hf", model, nullptr);
    CHECK(written_llmc(read_huggingface_model(directory / "hf"), directory / "b.bin") == bytes);
    written_safetensors(model, directory / "a.safetensors");
    CHECK(written_llmc(read_safetensors_model(directory / "a.safetensors"), directory / "c.bin") == bytes);
  }
}

TEST_CASE("round trip: a Hugging Face file has the same tensors after a model file's format and back") {
  const TemporaryDirectory directory;
  const StoredModel original = read_huggingface_model("tests/goldens/huggingface");
  const std::string direct = written_safetensors(original, directory / "direct.safetensors");
  written_llmc(original, directory / "a.bin");
  CHECK(written_safetensors(read_llmc_model(directory / "a.bin"), directory / "b.safetensors") == direct);
  const StoredModel copy = read_safetensors_model(directory / "direct.safetensors");
  for (const LayerTensor& tensor : layer_tensors(original.config)) {
    INFO(huggingface_name(tensor));
    const auto want = original.at(tensor).bytes, got = copy.at(tensor).bytes;
    CHECK(std::equal(want.begin(), want.end(), got.begin(), got.end()));
  }
}

TEST_CASE("round trip: numbers that arithmetic would change keep their bits: NaN, infinity, -0, subnormal") {
  const TemporaryDirectory directory;
  write_random_model(directory / "a.bin");
  std::string bytes = read_text(directory / "a.bin");
  const std::uint32_t odd[] = {0x7f800001u, 0xffc12345u, 0x7f800000u, 0x80000000u, 0x00000001u, 0x807fffffu};
  const std::size_t qkvw = bytes.size() - 4 * 200;  // inside a transposed matrix, or after it
  std::memcpy(&bytes[qkvw], odd, sizeof odd);
  std::memcpy(&bytes[1024], odd, sizeof odd);
  write_text(directory / "a.bin", bytes);
  written_safetensors(read_llmc_model(directory / "a.bin"), directory / "a.safetensors");
  CHECK(written_llmc(read_safetensors_model(directory / "a.safetensors"), directory / "b.bin") == bytes);
}

TEST_CASE("round trip: matrices are unchanged at every size around the number of rows transposed at a time") {
  for (const std::int64_t C : {1, 3, 16, 21, 22, 63, 64, 65}) {
    INFO(C);
    const TemporaryDirectory directory;
    const GPT2Config config{.max_seq_len = 2, .vocab_size = 1, .layers = 1, .heads = 1, .channels = C};
    write_random_model(directory / "a.bin", DType::bf16, config);
    written_safetensors(read_llmc_model(directory / "a.bin"), directory / "a.safetensors");
    CHECK(written_llmc(read_safetensors_model(directory / "a.safetensors"), directory / "b.bin") ==
          read_text(directory / "a.bin"));
  }
}

TEST_CASE("round trip: f16 stays f16 in safetensors, and a model file holds it as f32") {
  const TemporaryDirectory directory;
  const StoredModel half = read_huggingface_model("tests/goldens/huggingface_f16");
  CHECK(half.type() == FloatType::f16);
  written_safetensors(half, directory / "a.safetensors");
  CHECK(read_safetensors_model(directory / "a.safetensors").type() == FloatType::f16);
  written_llmc(half, directory / "a.bin");
  CHECK(read_llmc_model(directory / "a.bin").type() == FloatType::f32);
}

// Sets the peak of this process's memory to its present memory, and returns the peak since then, in bytes.
std::int64_t peak_memory(bool reset) {
  if (reset) std::ofstream("/proc/self/clear_refs") << "5";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoll(line.substr(6)) * 1024;
  }
  return 0;
}

TEST_CASE("round trip: the memory of a conversion is at most one tensor and a few MB") {
  const TemporaryDirectory directory;
  // wte and each of the largest matrices of a layer have 4 MiB; the model has 88 MiB.
  const GPT2Config config{.max_seq_len = 8, .vocab_size = 2048, .layers = 7, .heads = 1, .channels = 512};
  write_text(directory / "a.bin", [&] {
    const Header header = model_header(config, DType::f32, "a.bin");
    return std::string(reinterpret_cast<const char*>(header.ints), sizeof header.ints);
  }());
  std::filesystem::resize_file(directory / "a.bin",
                               static_cast<std::uintmax_t>(1024 + 4 * config.parameter_count()));
  // AddressSanitizer keeps freed memory for a while: up to 15 MB were seen.
  constexpr std::int64_t kMost = (kFence > 0 ? 24 : 12) << 20;  // kFence: built with AddressSanitizer
  const auto check_memory = [&](auto&& convert) {
    const std::int64_t before = peak_memory(true);
    convert();
    CHECK(peak_memory(false) - before < kMost);
  };
  check_memory(
      [&] { write_huggingface_model(directory / "hf", read_llmc_model(directory / "a.bin"), nullptr); });
  check_memory([&] {
    AtomicFile file(directory / "b.bin");
    write_llmc_model(file, "b.bin", read_huggingface_model(directory / "hf"));
    file.commit();
  });
  CHECK(std::filesystem::file_size(directory / "b.bin") == std::filesystem::file_size(directory / "a.bin"));
}

TEST_CASE("round trip: tensors behind the first 2 GiB of a file are found") {
  const TemporaryDirectory directory;
  // wte has 2.25 GiB of zeros, which take no room on the disk.
  const GPT2Config config{.max_seq_len = 1, .vocab_size = 9 << 16, .layers = 1, .heads = 1, .channels = 1024};
  const std::string path = directory / "large.bin";
  const Header header = model_header(config, DType::f32, path);
  const std::int64_t size = 1024 + 4 * config.parameter_count();
  write_text(path, std::string(reinterpret_cast<const char*>(header.ints), sizeof header.ints));
  std::filesystem::resize_file(path, static_cast<std::uintmax_t>(size));
  std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(size - 4);
  file.write("last", 4);
  file.close();
  const StoredModel model = read_llmc_model(path);
  const auto bias = model.at({kLnfb}).bytes;
  CHECK(std::memcmp(bias.data() + bias.size() - 4, "last", 4) == 0);
  CHECK(bias.data() - model.files[0].bytes().data() > std::int64_t{2} << 30);
}

}  // namespace
}  // namespace inkling
