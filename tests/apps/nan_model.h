// A model file with a weight that is NaN, for tests of commands that must refuse it.
#pragma once

#include <cmath>
#include <cstring>
#include <string>

#include "tests/temporary_directory.h"

namespace inkling::test {

// The error about this model.
constexpr const char* kNanModelError =
    "nan.bin: weight 150 of wte (256, 30) is nan, expected a finite number";

// Writes DIRECTORY/nan.bin: tests/goldens/small.bin with a NaN in token 5's row of wte. Returns its path.
inline std::string write_nan_model(const TemporaryDirectory& directory) {
  std::string model = read_text("tests/goldens/small.bin");
  const float nan = NAN;
  constexpr std::size_t kHeaderBytes = 1024, kRowBytes = 4 * 30;
  std::memcpy(model.data() + kHeaderBytes + 5 * kRowBytes, &nan, sizeof nan);
  const std::string path = directory / "nan.bin";
  write_text(path, model);
  return path;
}

}  // namespace inkling::test
