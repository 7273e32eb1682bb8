// The functions that add rows to the harness: one function for each benchmark file.
#pragma once

#include <string>

namespace inkling::bench {

void add_gemm_rows();
void add_op_rows();
void add_model_rows();
// Encoding the project's own files, and the file `text` if it is not empty.
void add_tokenizer_rows(const std::string& text);
void add_graph_sections();

}  // namespace inkling::bench
