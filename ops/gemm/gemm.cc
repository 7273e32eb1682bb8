#include "ops/gemm/gemm.h"

#include <algorithm>

#include "core/memory.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

// ---- The reference ----

template <class T>
void reference::gemm(T* C, const T* A, const T* B, std::int64_t M, std::int64_t N, std::int64_t K,
                     const T* bias, bool accumulate) {
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < N; ++n) {
      T sum = 0;
      for (std::int64_t k = 0; k < K; ++k) sum += A[m * K + k] * B[k * N + n];
      if (bias != nullptr) sum += bias[n];
      if (accumulate) sum += C[m * N + n];
      C[m * N + n] = sum;
    }
  }
}

template void reference::gemm(float*, const float*, const float*, std::int64_t, std::int64_t, std::int64_t,
                              const float*, bool);
template void reference::gemm(double*, const double*, const double*, std::int64_t, std::int64_t, std::int64_t,
                              const double*, bool);

// ---- The driver ----

namespace {

// Steps of k between two visits of C. A panel of A (8 rows) then takes 24 KiB of the L1 cache (32 or 48 KiB),
// a panel of B (48 columns) 144 KiB of L2.
constexpr std::int64_t kKC = 768;
// The largest number of floats that are packed for all strips at once, unless a single step of KC needs more.
// This is 1 MiB, so that it stays in L2.
constexpr std::int64_t kSharedFloats = std::int64_t{1} << 18;
// C is cut into at least kTasks strips, so that all threads finish at about the same time. A strip has at
// least kLeastStrip lanes, because packing fewer lanes costs more time than it saves, and at most kMostStrip
// lanes, so that it stays in L2.
constexpr std::int64_t kTasks = 16;
constexpr std::int64_t kLeastStrip = 32, kMostStrip = 96;
// The size of the smallest task: in multiply-adds, in floats to pack, and in floats to stream. Such a task
// takes 5 to 10 us; starting a task costs 1 us.
constexpr std::int64_t kTaskFmas = std::int64_t{1} << 19;
constexpr std::int64_t kTaskPacked = std::int64_t{1} << 15;
constexpr std::int64_t kTaskStreamed = std::int64_t{1} << 16;

// One of the two factors, source(lane, k). A lane is a row of A or a column of B; a panel has R lanes.
struct Factor {
  MatrixIn<float> source;
  std::int64_t lanes;
  std::int64_t R;
  decltype(GemmKernels::pack_a) pack;

  std::int64_t panels() const { return ceil_div(lanes, R); }

  // The number of floats from one panel of K steps to the next. If it were a multiple of 4 KiB, all panels
  // would compete for the same few lines of L1.
  std::int64_t panel_stride(std::int64_t K) const {
    constexpr std::int64_t kLine = 16, kCompeting = 1024;
    const std::int64_t floats = ceil_div(R * K, kLine) * kLine;
    return floats % kCompeting == 0 ? floats + kLine : floats;
  }
};

struct Problem {
  MatrixOut<float> C;
  Factor a, b;
  std::int64_t K;

  // C for the step that starts at kc. The first step assigns, with bias and addend; later steps add.
  MatrixOut<float> C_at(std::int64_t kc) const { return kc == 0 ? C : assign_or_add(C.data, C.ld, true); }
};

// Packs steps [k, k_end) of the factor that all strips share. The packed factor consists of blocks of KC
// steps, and each block of panels. A task packs some panels of one block.
void pack_shared(float* packed, const Factor& shared, std::int64_t k, std::int64_t k_end) {
  const std::int64_t most_steps = std::min(kKC, k_end - k);
  const std::int64_t block = shared.panels() * shared.panel_stride(most_steps);
  const std::int64_t group =
      std::max<std::int64_t>(1, kTaskPacked / (shared.R * most_steps));  // panels in a task
  const std::int64_t groups = ceil_div(shared.panels(), group);
  parallel_chunks(ceil_div(k_end - k, kKC) * groups, [&](std::int64_t task) {
    const std::int64_t kc = k + task / groups * kKC, steps = std::min(kKC, k_end - kc);
    const std::int64_t panel = task % groups * group, stride = shared.panel_stride(steps);
    const std::int64_t lane = panel * shared.R, lanes = std::min(shared.lanes - lane, group * shared.R);
    shared.pack(packed + task / groups * block + panel * stride, stride, shared.source.from(lane, kc), lanes,
                steps);
  });
}

// The number of lanes of `own` in a strip; a strip consists of whole panels.
std::int64_t strip_lanes(const Factor& own, const Factor& shared, std::int64_t K) {
  const std::int64_t least = ceil_div(kLeastStrip, own.R), most = ceil_div(kMostStrip, own.R);
  const std::int64_t worth_a_task = std::min(own.panels(), ceil_div(kTaskFmas, own.R * K * shared.lanes));
  return own.R * std::max(worth_a_task, std::clamp(own.panels() / kTasks, least, most));
}

// Returns whether C is cut into strips of columns, and not of rows. The strips are cut from the longer side
// of C, unless this side has too few panels for all threads and the other side has more panels.
bool strips_are_columns(const Factor& a, const Factor& b) {
  return a.lanes <= b.lanes && (b.panels() >= kTasks || b.panels() >= a.panels());
}

// Computes steps [k, k_end) of columns [begin, end) of C. A is packed and shared; B is packed one panel at a
// time.
void multiply_columns(const Problem& p, const float* packed, std::int64_t begin, std::int64_t end,
                      std::int64_t k, std::int64_t k_end) {
  auto* panel =
      static_cast<float*>(thread_scratch(static_cast<std::size_t>(p.b.panel_stride(kKC)) * sizeof(float)));
  for (std::int64_t kc = k; kc < k_end; kc += kKC) {
    const std::int64_t steps = std::min(kKC, k_end - kc), a_stride = p.a.panel_stride(steps);
    const MatrixIn<float> B = p.b.source.from(begin, kc).transposed();
    kernels().gemm.multiply_source(p.C_at(kc).from(0, begin), {packed, a_stride}, B, panel,
                                   {p.a.lanes, end - begin, steps}, p.b.lanes - begin);
    packed += p.a.panels() * a_stride;
  }
}

// Computes steps [k, k_end) of rows [begin, end) of C. B is packed and shared; the rows of A are packed here.
void multiply_rows(const Problem& p, const float* packed, std::int64_t begin, std::int64_t end,
                   std::int64_t k, std::int64_t k_end) {
  const std::int64_t panels = ceil_div(end - begin, p.a.R);
  auto* strip = static_cast<float*>(thread_scratch(
      static_cast<std::size_t>(panels * p.a.panel_stride(std::min(kKC, k_end - k))) * sizeof(float)));
  for (std::int64_t kc = k; kc < k_end; kc += kKC) {
    const std::int64_t steps = std::min(kKC, k_end - kc), a_stride = p.a.panel_stride(steps),
                       b_stride = p.b.panel_stride(steps);
    p.a.pack(strip, a_stride, p.a.source.from(begin, kc), end - begin, steps);
    kernels().gemm.multiply(p.C_at(kc).from(begin, 0), {strip, a_stride}, {packed, b_stride},
                            {end - begin, p.b.lanes, steps});
    packed += p.b.panels() * b_stride;
  }
}

void multiply_in_strips(const Problem& p) {
  const bool columns = strips_are_columns(p.a, p.b);
  const Factor& shared = columns ? p.a : p.b;
  const Factor& own = columns ? p.b : p.a;
  const std::int64_t most_steps = std::max(kKC, kSharedFloats / (shared.panels() * shared.R) / kKC * kKC);
  const std::int64_t steps = std::min(most_steps, p.K), blocks = ceil_div(steps, kKC);
  const Workspace workspace(
      static_cast<std::size_t>(blocks * shared.panels() * shared.panel_stride(std::min(kKC, steps))) *
      sizeof(float));
  const std::int64_t strip = strip_lanes(own, shared, steps);
  for (std::int64_t k = 0; k < p.K; k += steps) {
    const std::int64_t k_end = std::min(p.K, k + steps);
    pack_shared(workspace.floats(), shared, k, k_end);
    parallel_for(own.lanes, strip, [&](std::int64_t begin, std::int64_t end) {
      const auto multiply_strip = columns ? multiply_columns : multiply_rows;
      multiply_strip(p, workspace.floats(), begin, end, k, k_end);
    });
  }
}

// For K = 0 the sum is empty, and C is bias + addend.
void fill_with_bias(const MatrixOut<float>& C, std::int64_t M, std::int64_t N) {
  for (std::int64_t m = 0; m < M; ++m) {
    for (std::int64_t n = 0; n < N; ++n) {
      const std::int64_t at = m * C.ld + n;
      C.data[at] = (C.addend == nullptr ? 0.0f : C.addend[at]) + (C.bias == nullptr ? 0.0f : C.bias[n]);
    }
  }
}

}  // namespace

void gemm(const MatrixOut<float>& C, const MatrixIn<float>& A, const MatrixIn<float>& B, ProductSize size) {
  const auto [M, N, K] = size;
  if (M <= 0 || N <= 0) return;
  if (K <= 0) return fill_with_bias(C, M, N);
  if (M <= kGemvRows && A.col_stride == 1 && B.row_stride == 1) {
    const std::int64_t rows_a_task = std::max<std::int64_t>(4, kTaskStreamed / K / 4 * 4);
    parallel_for(N, rows_a_task, [&](std::int64_t begin, std::int64_t end) {
      kernels().gemv(C.from(0, begin), A, B.transposed().from(begin, 0), {size.M, end - begin, size.K});
    });
    return;
  }
  const GemmKernels& kernel = kernels().gemm;
  const Factor a{A, M, kernel.MR, kernel.pack_a}, b{B.transposed(), N, kernel.NR, kernel.pack_b};
  multiply_in_strips({C, a, b, K});
}

}  // namespace inkling
