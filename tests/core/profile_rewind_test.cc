// The memory that the profile reports when a tape frees memory by rewind or recompute.
#include "core/profile.h"
#include "core/recompute.h"
#include "core/tape.h"
#include "ops/elementwise.h"
#include "ops/gelu.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("profile: after a rewind, an op's event reports the memory that this op allocates") {
  std::vector<float> x(1024, 1.0f);
  Profile profile;
  Tape tape(Recording::off);
  tape.profile_into(&profile);
  profile.begin_step(0);
  const Arena::Mark mark = tape.mark();
  Tensor y(x.data(), {1024});
  for (int block = 0; block < 3; ++block) y = tape.rewind(mark, exp(tape, gelu(tape, y)));
  for (const ProfileEvent& event : profile.end_step().events) {
    INFO(event.name);
    CHECK(event.allocated_bytes == 4096);
  }
}

TEST_CASE("profile: with recomputation every event reports at least the memory of its result") {
  std::vector<float> x(1024, 1.0f), dx(1024);
  Profile profile;
  Tape tape;
  tape.profile_into(&profile);
  profile.begin_step(0);
  Tensor y = tape.leaf(x.data(), dx.data(), {1024}, LeafGradient::overwrite);
  for (int block = 0; block < 3; ++block)
    y = recompute(tape, y, [](Tape& t, const Tensor& in) { return exp(t, gelu(t, in)); });
  for (const ProfileEvent& event : profile.end_step().events) {
    INFO(event.name);
    CHECK(event.allocated_bytes >= 4096);
  }
}

}  // namespace
}  // namespace inkling
