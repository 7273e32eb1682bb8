// Turns documents into shards: every token counts as a target.
#pragma once

#include "apps/tokenize/inputs.h"
#include "apps/tokenize/survey.h"
#include "apps/tokenize/tokenize.h"

namespace inkling {

// Inputs without conversations; `found` is their survey. Error if they are too short for two shards.
TokenizeResult tokenize_documents(const TokenizeSettings& settings, Inputs& inputs, const Survey& found);

}  // namespace inkling
