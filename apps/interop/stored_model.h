// StoredModel: the weights of a GPT-2 inside mapped files, in any of the formats that inkling reads.
//
// A reader of a format finds out where each tensor is, and returns a StoredModel. A writer of a format asks
// for one tensor after another with write_tensor(). So every reader works with every writer, and no more than
// one tensor is in memory at a time, however large the files are. A tensor is copied bit by bit; only if the
// file that is written needs float32 are smaller floats converted, which is exact.
// Read next: gpt2_names.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/interop/gpt2_names.h"
#include "core/binary_file.h"

namespace inkling {

enum class FloatType : std::uint8_t { f32, f16, bf16 };
const char* name(FloatType type);
std::int64_t size_bytes(FloatType type);

// The order of a matrix's numbers: row by row of [out, in], or row by row of [in, out]. For a vector both are
// the same.
enum class MatrixOrder : std::uint8_t { out_in, in_out };

struct StoredTensor {
  std::span<const std::byte> bytes;  // at any address, so not always aligned
  FloatType type = FloatType::f32;
  MatrixOrder order = MatrixOrder::out_in;
};

struct StoredModel {
  GPT2Config config;
  std::vector<StoredTensor> tensors;  // in the order of layer_tensors(config)
  std::vector<FileView> files;  // the files that hold the tensors; none if the bytes belong to the caller

  const StoredTensor& at(const LayerTensor& tensor) const { return tensors[index_of(tensor, config)]; }
  // The type of all tensors; f32 if the tensors have different types.
  FloatType type() const;
  // Frees the memory of bytes in the files (FileView::release).
  void release(std::span<const std::byte> part) const;
};

// Writes the numbers of a tensor in this type and order. `type` is the tensor's own type or f32.
void write_tensor(AtomicFile& file, const StoredModel& model, const LayerTensor& tensor, FloatType type,
                  MatrixOrder order);

// Returns whether two tensors with the same shape and order have the same numbers.
bool same_numbers(const StoredModel& model, const StoredTensor& a, const StoredTensor& b);

}  // namespace inkling
