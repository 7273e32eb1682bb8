#include <vector>

#include "apps/ranks/optimizer_state.h"
#include "optim/adamw.h"
#include "optim/sgd.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

void optimizer(Bytes bytes) {
  const std::vector<ParameterSegment> segments = {{0, 8, true, "a", 4}, {8, 5, false, "b", 1}};
  const std::string path = put("optimizer.bin", bytes), again = scratch("again.bin");
  AdamW adamw(segments, {});
  Sgd sgd(segments, {});
  for (Optimizer* optimizer : std::initializer_list<Optimizer*>{&adamw, &sgd}) {
    const RunState state = whole_state(*optimizer);
    if (!accepted([&] { load_state(path, state, only_rank()); })) continue;
    save_state(again, state, only_rank());
    load_state(again, state, only_rank());
  }
}

}  // namespace inkling::fuzz
