#include "apps/interop/huggingface.h"

#include <filesystem>

#include "apps/interop/huggingface_config.h"
#include "apps/run/strict_json.h"
#include "tests/fuzz/targets.h"
#include "tests/temporary_directory.h"

namespace inkling::fuzz {

// The input is config.json, and then the table of a model in several files.
void huggingface(Bytes bytes) {
  accepted([&] {
    const nlohmann::json json = parse_json(as_text(bytes), "config.json");
    const GPT2Config config = parse_huggingface_config(json, "config.json", false);
    const std::string text = huggingface_config_text(config, FloatType::bf16, 0);
    require(parse_huggingface_config(parse_json(text, "config.json"), "config.json", false) == config,
            "huggingface: a written config.json is read back");
  });
  accepted([&] {
    const std::string directory = scratch("huggingface");
    std::filesystem::create_directory(directory);
    test::write_text(directory + "/model.safetensors.index.json", std::string(as_text(bytes)));
    read_huggingface_model(directory);
  });
}

}  // namespace inkling::fuzz
