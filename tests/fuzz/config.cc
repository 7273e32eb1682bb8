#include "apps/run/strict_json.h"
#include "apps/run/train_settings.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

void config(Bytes bytes) {
  const std::string path = put("config.json", bytes);
  TrainFlags none, some;
  some.given = {{"steps", 20}, {"model", {{"layers", 2}}}, {"lr", 0.1}};
  for (const TrainFlags& flags : {none, some}) {
    accepted([&] {
      const TrainSettings settings = resolve_resumed(read_json(path), flags, path);
      const nlohmann::json saved = settings;
      const nlohmann::json again = resolve_resumed(parse_json(saved.dump(), path), {}, path);
      require(again == saved, "config: saved settings are read back unchanged");
    });
  }
}

}  // namespace inkling::fuzz
