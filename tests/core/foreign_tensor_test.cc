// A tape cannot differentiate the tensors of another tape, nor tensors from before clear().
#include "core/tape.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("tape: backward from a tensor of another tape, or from before clear(), is an error") {
  std::vector<float> values{1, 2}, gradient(2);
  Tape tape, other;
  const auto leaf_of = [&](Tape& t) {
    return t.leaf(values.data(), gradient.data(), {2}, LeafGradient::overwrite);
  };
  const Tensor mine = leaf_of(tape), loss = sum(tape, mine);
  leaf_of(other);
  const Tensor their_loss = sum(other, exp(other, leaf_of(other)));
  CHECK_THROWS_WITH(tape.backward(their_loss), contains("backward: tensor () is from another tape"));
  const float dy = 1;
  CHECK_THROWS_WITH(tape.backward_from(their_loss, &dy),
                    contains("backward: tensor () is from another tape"));
  tape.clear();
  CHECK_THROWS_WITH(tape.backward(loss), contains("backward: tensor () is from another tape or from before"));
  CHECK_THROWS_WITH(tape.leaf_gradient(mine, mine),
                    contains("leaf_gradient: tensor (2) is from another tape"));
  CHECK_NOTHROW(other.backward(their_loss));
}

TEST_CASE("tape: the loss may be one element of a larger result") {
  std::vector<float> values{1, 2, 3}, gradient(3);
  Tape tape;
  const Tensor x = tape.leaf(values.data(), gradient.data(), {3}, LeafGradient::overwrite);
  tape.backward(scale(tape, x, 2.0f).slice(0, 2, 3));
  CHECK(gradient == std::vector<float>{0, 0, 2});
}

}  // namespace
}  // namespace inkling
