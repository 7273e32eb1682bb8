// How element-wise work is cut into tasks: a task has enough elements to take longer than starting a task,
// and few enough for all threads to share the work. The number is fixed, so results do not depend on the
// number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

namespace inkling {

constexpr std::int64_t kTaskElements = 1 << 14;  // elements in a task: 64 KiB of floats

// Returns the number of rows in a task, at least one, for rows of `row_elements` elements.
inline std::int64_t task_rows(std::int64_t row_elements) {
  return std::max<std::int64_t>(1, kTaskElements / std::max<std::int64_t>(1, row_elements));
}

}  // namespace inkling
