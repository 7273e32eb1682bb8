#include "ops/update/sum_of_squares.h"

#include "core/memory.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

template <class T>
double reference::sum_of_squares(const T* x, std::int64_t n) {
  double total = 0;
  for (std::int64_t i = 0; i < n; ++i) total += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  return total;
}

template double reference::sum_of_squares(const float*, std::int64_t);
template double reference::sum_of_squares(const double*, std::int64_t);

double sum_of_squares(const float* x, std::int64_t n) {
  constexpr std::int64_t kChunk = 1 << 16;
  const std::int64_t chunks = ceil_div(n, kChunk);
  const Workspace workspace(static_cast<std::size_t>(chunks) * sizeof(double));
  double* parts = reinterpret_cast<double*>(workspace.bytes());
  parallel_for(n, kChunk, [&](std::int64_t begin, std::int64_t end) {
    parts[begin / kChunk] = kernels().sum_of_squares(x + begin, end - begin);
  });
  double total = 0;
  for (std::int64_t chunk = 0; chunk < chunks; ++chunk) total += parts[chunk];
  return total;
}

}  // namespace inkling
