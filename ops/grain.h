// How work without products is cut into tasks: enough elements to take longer than starting a task, and few
// enough for all threads to share. The number is fixed, so results do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace inkling {

constexpr std::int64_t kTaskElements = 1 << 14;  // 64 KiB of floats

// The number of rows in a task, at least one.
inline std::int64_t task_rows(std::int64_t row_elements) {
  return std::max<std::int64_t>(1, kTaskElements / std::max<std::int64_t>(1, row_elements));
}

}  // namespace inkling
