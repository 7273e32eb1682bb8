#include <filesystem>
#include <fstream>

#include "apps/run/run_directory.h"
#include "tests/fuzz/targets.h"
#include "tests/temporary_directory.h"

namespace inkling::fuzz {

void manifest(Bytes bytes) {
  static RunDirectory run(scratch("manifest"));
  const std::string checkpoint = "manifest/checkpoints/step_00000003";
  std::filesystem::create_directories(scratch(checkpoint));
  test::write_text(scratch(checkpoint + "/model.bin"), "hello");
  put(checkpoint + "/manifest.json", bytes);
  accepted([&] {
    const auto newest = run.newest_checkpoint([](const std::string&) {});
    require(newest.has_value(), "manifest: a checkpoint is whole, or its damage is an error");
  });
}

}  // namespace inkling::fuzz
