#include <vector>

#include "apps/run/optimizer_file.h"
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
    if (!accepted([&] { load_optimizer(path, *optimizer); })) continue;
    save_optimizer(again, *optimizer);
    load_optimizer(again, *optimizer);
  }
}

}  // namespace inkling::fuzz
