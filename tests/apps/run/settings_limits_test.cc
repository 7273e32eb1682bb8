// Counts on the command line of `train`: the largest accepted number, and one more.
#include "apps/run/train_settings.h"
#include "core/error.h"
#include "tests/apps/run/fixed_precision.h"
#include "tests/catch.h"

namespace inkling {
namespace {

using test::contains;

TEST_CASE("limits: counts on train's command line are at most 2^31") {
  constexpr std::int64_t kMost = std::int64_t{1} << 31;
  for (const std::string key : {"batch_size", "grad_accum", "steps", "val_batches", "warmup", "val_every",
                                "sample_every", "save_every"}) {
    INFO(key);
    TrainFlags flags;
    flags.given = {{key, kMost}};
    CHECK(nlohmann::json(resolve(flags, test::f32_is_faster)).at(key) == kMost);
    flags.given = {{key, kMost + 1}};
    CHECK_THROWS_AS(resolve(flags, test::f32_is_faster), UsageError);
    CHECK_THROWS_WITH(resolve(flags, test::f32_is_faster), contains("is 2147483649, expected") && contains("to 2147483648"));
  }
  TrainFlags flags;
  flags.given = {{"seq_len", kMost + 1}};
  CHECK_THROWS_WITH(resolve(flags, test::f32_is_faster), contains("--seq-len is 2147483649, expected 1 to 2147483648"));
}

}  // namespace
}  // namespace inkling
