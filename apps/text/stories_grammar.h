// The grammar of the default corpus, in the notation of grammar.h.
#pragma once

#include <string_view>

namespace inkling {

extern const std::string_view kStoryGrammar;

}  // namespace inkling
