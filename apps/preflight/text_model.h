// The model that suits a text and a machine: a larger model learns more from a larger text, but it needs a
// faster machine.
//
// A model with many more weights than the text has tokens learns the text by heart. The limit is 2.5 weights of
// the blocks' matrices for each token: on Tiny Shakespeare (1.1 MB, 0.4 million tokens), the model of 4 blocks
// of width 128 has 2. Of the models below the limit, the largest one is chosen whose training takes at most
// ten minutes.
#pragma once

#include <cstdint>
#include <functional>

#include "apps/preflight/probe.h"
#include "nn/gpt2_config.h"

namespace inkling {

// Sets layers, heads and channels of request.model. `choose` measures a step; it is called only where there is
// a choice. `steps` is the number of steps of the run.
GPT2Config suitable_model(const PreflightRequest& request, std::int64_t text_tokens, std::int64_t steps,
                          const std::function<PrecisionChoice(const PreflightRequest&)>& choose);

}  // namespace inkling
