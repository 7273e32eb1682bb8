// The known hash of each recipe. They are the content of tests/goldens/hashes.json; a test compares the two.
#pragma once

#include <string>

#include "apps/verify/recipes.h"

namespace inkling {

// The hash that a recipe has on every instruction set with this arithmetic (apps/verify/recipes.h); "none"
// for a new recipe.
std::string known_hash(const Recipe& recipe, const std::string& arithmetic);

// All known hashes as JSON: {recipe: {arithmetic: hash}}.
const char* known_hashes();

}  // namespace inkling
