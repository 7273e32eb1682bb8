#include "apps/tokenize/validation_choice.h"

#include <xxhash.h>

#include <algorithm>

namespace inkling {

bool chosen_for_validation(std::string_view text, double fraction) {
  constexpr std::size_t kHashed = std::size_t{1} << 16;
  const auto hash = static_cast<std::uint64_t>(XXH3_64bits(text.data(), std::min(text.size(), kHashed)));
  return static_cast<double>(hash >> 11) * 0x1p-53 < fraction;
}

}  // namespace inkling
