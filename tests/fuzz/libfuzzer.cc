// The program that `make fuzz` runs. Usage: inkling_fuzz TARGET, then libFuzzer's own arguments. If one of
// them is the path of a file, the program runs this input once.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "core/parallel.h"
#include "tests/fuzz/targets.h"

namespace {

inkling::fuzz::Target chosen = nullptr;

}  // namespace

// libFuzzer calls these two functions by their names.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  for (const auto& [name, target] : inkling::fuzz::kTargets) {
    if (*argc > 1 && std::strcmp((*argv)[1], name) == 0) chosen = target;
  }
  if (chosen == nullptr) {
    for (const auto& [name, target] : inkling::fuzz::kTargets) std::puts(name);
    std::exit(*argc > 1 ? 2 : 0);
  }
  std::memmove(*argv + 1, *argv + 2, static_cast<std::size_t>(*argc - 1) * sizeof(char*));
  --*argc;
  inkling::set_threads(1);
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  chosen(std::as_bytes(std::span(data, size)));
  return 0;
}
