// Hugging Face's safetensors files: named tensors, without code that a reader would have to run.
//
//   u64      length of the header in bytes, at most 100,000,000
//   header   JSON: {"__metadata__": {key: text, ...},
//                   name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}
//   data     the bytes of the tensors; data_offsets (begin, end) count from the start of the data
//
// The reader refuses everything that two programs could read in two ways: a key that appears twice, tensors
// that overlap, bytes that belong to no tensor, a size that does not match the shape and the dtype. So the
// tensors are consecutive, from the end of the header to the end of the file. This file does not know models.
// Read next: gpt2_safetensors.h.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "core/binary_file.h"

namespace inkling {

struct SafetensorsTensor {
  std::string name;
  std::string dtype;                // "F32", "F16", "BF16", ...
  std::vector<std::int64_t> shape;  // any number of dimensions
  std::span<const std::byte> bytes;
};

struct Safetensors {
  std::map<std::string, std::string> metadata;
  std::vector<SafetensorsTensor> tensors;  // in the order of their bytes
};

// Checks the whole file and returns its tensors; they refer to the bytes of `in`.
Safetensors parse_safetensors(ByteReader in);

// Returns the start of a file, up to the data. The tensors' `bytes` are not used; the sizes come from the
// shapes. The data starts at a multiple of 8 bytes.
std::string safetensors_header(const std::map<std::string, std::string>& metadata,
                               const std::vector<SafetensorsTensor>& tensors);

// Returns a shape as text, for example "(2, 3)", as in errors about the shape of a Tensor.
std::string shape_text(const std::vector<std::int64_t>& shape);

}  // namespace inkling
