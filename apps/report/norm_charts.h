// The norms of the weights and of the gradients of a run, layer by layer, as charts.
#pragma once

#include "apps/page/page.h"
#include "apps/report/run_record.h"

namespace inkling::report {

// Adds a section with two charts, for the embeddings and at most four layers. Adds nothing if the run has no
// norms.
void add_norms(page::Page& page, const RunRecord& run);

}  // namespace inkling::report
