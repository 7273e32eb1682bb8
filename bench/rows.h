// The functions that add rows to the harness: one function for each benchmark file.
#pragma once

namespace inkling::bench {

void add_gemm_rows();
void add_op_rows();
void add_model_rows();
void add_graph_sections();

}  // namespace inkling::bench
