// Which documents and conversations are for validation, if there are many.
#pragma once

#include <cstdint>
#include <string_view>

namespace inkling {

constexpr std::int64_t kManyDocuments =
    100;  // with at least this many, whole documents are chosen for validation

// Whether a document or conversation is for validation: a hash of the beginning of its text decides. So the
// same text is always on the same side, even if other texts are added. About the share `fraction` of all
// texts is chosen.
bool chosen_for_validation(std::string_view text, double fraction);

}  // namespace inkling
