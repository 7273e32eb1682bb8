// Which documents and conversations are for validation, if there are many.
#pragma once

#include <cstdint>
#include <string_view>

namespace inkling {

constexpr std::int64_t kManyDocuments = 100;  // from so many on, whole documents are chosen for validation

// Whether a document or conversation is for validation: a hash of the beginning of its text decides. So the
// same text is always on the same side, also if others are added. `fraction` of all texts are chosen.
bool chosen_for_validation(std::string_view text, double fraction);

}  // namespace inkling
