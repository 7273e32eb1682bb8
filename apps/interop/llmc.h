// llm.c's model files (nn/checkpoint.h) as StoredModels: version 3 is float32, version 5 is bfloat16.
//
// The file stacks a tensor's layers and pads the token embedding from V to Vp rows of zeros. The rows past V
// are not part of a StoredModel: no program uses their numbers.
#pragma once

#include <string>

#include "apps/interop/stored_model.h"

namespace inkling {

// Returns the model in the bytes of `in`. The StoredModel refers to these bytes and has no files.
StoredModel parse_llmc_model(ByteReader in);
StoredModel read_llmc_model(const std::string& path);

// Writes a version 5 file if all tensors are bf16, otherwise a version 3 file. The caller commits the file.
void write_llmc_model(AtomicFile& file, const std::string& path, const StoredModel& model);

}  // namespace inkling
