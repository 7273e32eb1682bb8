// GGUF files, which llama.cpp runs. inkling only writes them.
//
//   "GGUF", u32 version 3, u64 number of tensors, u64 number of pairs
//   pairs     key, u32 type of the value, value: the dimensions of the model, and the whole tokenizer
//   tensors   name, u32 number of dimensions, the dimensions (innermost first), u32 type,
//             u64 offset in the data
//   data      the numbers of the tensors; the data and every tensor start at a multiple of 32 bytes
//
// A text is stored as its length (u64) and its bytes. Matrices keep their type (f32, f16 or bf16) and are
// [out, in]. Vectors and the position embedding are f32, because llama.cpp adds them to float32 numbers. The
// output head is written as a tensor of its own, a copy of the token embedding. Every text starts with
// end-of-text, as in training, so the file asks llama.cpp to put it before a prompt.
#pragma once

#include "apps/interop/stored_model.h"
#include "apps/tokenizer/tokenizer.h"

namespace inkling {

// Writes a whole model. Without a tokenizer (nullptr), llama.cpp can run the file on token ids only. Error
// for a word tokenizer. The caller commits the file.
void write_gguf(AtomicFile& file, const StoredModel& model, const Tokenizer* tokenizer);

}  // namespace inkling
