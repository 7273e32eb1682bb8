// optimizer.bin: every number of both optimisers' state is read back, and wrong files are refused.
#include "apps/run/optimizer_file.h"

#include <cstring>

#include "apps/ranks/optimizer_state.h"
#include "core/error.h"
#include "optim/adamw.h"
#include "optim/sgd.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr std::int64_t kWeights = 5;
const std::vector<ParameterSegment> kSegments = {{0, kWeights, true, "w"}};

void save(const std::string& path, Optimizer& optimizer) {
  save_state(path, whole_state(optimizer), only_rank());
}
void load(const std::string& path, Optimizer& optimizer) {
  load_state(path, whole_state(optimizer), only_rank());
}

std::int32_t int_at(const std::string& bytes, std::size_t index) {
  std::int32_t value;
  std::memcpy(&value, bytes.data() + 4 * index, 4);
  return value;
}
float float_at(const std::string& bytes, std::size_t index) {
  float value;
  std::memcpy(&value, bytes.data() + 1024 + 4 * index, 4);
  return value;
}

// Fills the state with 100, 101, ... in the first array and 200, 201, ... in the second.
void number(Optimizer& optimizer) {
  float hundred = 100;
  for (const Optimizer::State& array : optimizer.state()) {
    for (std::size_t i = 0; i < array.values.size(); ++i) array.values[i] = hundred + static_cast<float>(i);
    hundred += 100;
  }
}

TEST_CASE("optimizer file: it has the header, then m and v or the velocity, and is read back the same") {
  const TemporaryDirectory temporary;
  AdamW adamw(kSegments, {});
  number(adamw);
  save(temporary / "adamw.bin", adamw);
  const std::string bytes = read_text(temporary / "adamw.bin");
  REQUIRE(bytes.size() == 1024 + 2 * kWeights * 4);
  CHECK(int_at(bytes, 0) == 20261122);
  CHECK(int_at(bytes, 1) == 1);
  CHECK(int_at(bytes, 2) == 2);
  CHECK(int_at(bytes, 3) == kWeights);
  for (std::size_t i = 4; i < 256; ++i) CHECK(int_at(bytes, i) == 0);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(float_at(bytes, i) == 100 + static_cast<float>(i));
    CHECK(float_at(bytes, 5 + i) == 200 + static_cast<float>(i));
  }
  AdamW loaded(kSegments, {});
  load(temporary / "adamw.bin", loaded);
  for (std::size_t a = 0; a < 2; ++a) {
    const auto got = loaded.state()[a].values, want = adamw.state()[a].values;
    CHECK(std::equal(got.begin(), got.end(), want.begin(), want.end()));
  }

  Sgd sgd(kSegments, {});
  number(sgd);
  save(temporary / "sgd.bin", sgd);
  CHECK(read_text(temporary / "sgd.bin").size() == 1024 + kWeights * 4);
  Sgd loaded_sgd(kSegments, {});
  load(temporary / "sgd.bin", loaded_sgd);
  CHECK(loaded_sgd.state()[0].values[4] == 104);
}

TEST_CASE(
    "optimizer file: a file of another optimiser, size or version, or with a wrong length, is refused") {
  const TemporaryDirectory temporary;
  const std::string path = temporary / "optimizer.bin";
  AdamW adamw(kSegments, {});
  number(adamw);
  save(path, adamw);
  const std::string good = read_text(path);
  Sgd sgd(kSegments, {});
  CHECK_THROWS_WITH(load(path, sgd),
                    contains("holds 2 arrays of 5 floats, expected 1 arrays of 5 floats (at byte 8)"));
  AdamW larger({{0, 6, true, "w"}}, {});
  CHECK_THROWS_WITH(load(path, larger),
                    contains("holds 2 arrays of 5 floats, expected 2 arrays of 6 floats (at byte 12)"));
  write_text(path, good.substr(0, good.size() - 1));
  CHECK_THROWS_AS(load(path, adamw), Error);
  write_text(path, good + "x");
  CHECK_THROWS_AS(load(path, adamw), Error);
  const auto changed = [&](std::size_t index, std::int32_t value) {
    std::string bytes = good;
    std::memcpy(bytes.data() + 4 * index, &value, 4);
    write_text(path, bytes);
  };
  changed(1, 2);
  CHECK_THROWS_WITH(load(path, adamw), contains("version is 2, expected 1 (at byte 4)"));
  changed(4, 1);  // the high half of the length: 2^32 more floats
  CHECK_THROWS_WITH(load(path, adamw), contains("holds 2 arrays of 4294967301 floats"));
}

}  // namespace
}  // namespace inkling
