// The version of inkling, for what a page or a report says about its origin.
#pragma once

namespace inkling {

constexpr const char* kVersion = "0.1";

}  // namespace inkling
