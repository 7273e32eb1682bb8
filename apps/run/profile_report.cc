#include "apps/run/profile_report.h"

#include <algorithm>
#include <cstring>
#include <iomanip>

#include "apps/run/format.h"
#include "core/error.h"
#include "core/memory.h"

namespace inkling {

namespace {

constexpr std::int64_t kColdSteps = 2;
constexpr Phase kPhases[] = {Phase::data, Phase::forward, Phase::recomputed, Phase::backward, Phase::update};
constexpr double kNsPerMs = 1e6, kMiB = 1 << 20;

Roof mean(const Roof& a, const Roof& b) {
  return {(a.fma_gflops + b.fma_gflops) / 2, (a.bf16_gflops + b.bf16_gflops) / 2,
          (a.triad_gbs + b.triad_gbs) / 2, (a.read_gbs + b.read_gbs) / 2};
}

// The speed of a row of the profile's table, and its share of the roof. The speed is in GB/s if memory
// traffic limits the row, and in GFLOP/s if arithmetic limits it. Times are in nanoseconds. One GFLOP/s is
// one FLOP in a nanosecond, so no power of ten is needed.
struct Speed {
  std::string text, share_of_roof;
};
Speed speed(const ProfileReport::Row& row, const Roof& roof) {
  const double bf16_roof = roof.bf16_gflops > 0 ? roof.bf16_gflops : roof.fma_gflops;
  const double flops = row.flops + row.bf16_flops;
  const double least_arithmetic = row.flops / roof.fma_gflops + row.bf16_flops / bf16_roof;
  const double least_memory = row.bytes / roof.triad_gbs;
  const double least = std::max(least_arithmetic, least_memory);
  if (least == 0 || row.ns == 0) return {};
  const bool by_memory = least_memory > least_arithmetic;
  return {by_memory ? format_fixed(row.bytes / row.ns, 1) + " GB/s"
                    : format_fixed(flops / row.ns, 0) + " GFLOP/s",
          format_fixed(100 * least / row.ns, 0) + "%"};
}

}  // namespace

ProfileReport::ProfileReport() : roof_(best_roof()) {
  release_workspaces();
}

ProfileReport::Row& ProfileReport::row_of(const ProfileEvent& event) {
  for (Row& row : rows_) {
    if (row.phase == event.phase && std::strcmp(row.name, event.name) == 0) return row;
  }
  return rows_.emplace_back(Row{event.phase, event.name});
}

void ProfileReport::add(const ProfileStep& step) {
  if (seen_++ == kColdSteps) {
    rows_.clear();
    steps_ = page_allocations_ = 0;
    step_ns_ = 0;
  }
  ++steps_;
  step_ns_ += static_cast<double>(step.end_ns - step.begin_ns);
  page_allocations_ += step.page_allocations;

  edges_.clear();
  for (std::size_t e = 0; e < step.events.size(); ++e) {
    const ProfileEvent& event = step.events[e];
    edges_.push_back({event.begin_ns, e, true});
    edges_.push_back({event.end_ns, e, false});
    Row& row = row_of(event);
    ++row.calls;
    (event.work.operands == DType::bf16 ? row.bf16_flops : row.flops) += event.work.flops;
    row.bytes += event.work.bytes;
    row.allocated_bytes += event.allocated_bytes;
  }
  // Between two edges, the set of running events does not change. Each running event gets an equal part of
  // this time.
  std::sort(edges_.begin(), edges_.end(), [](const Edge& a, const Edge& b) {
    return a.ns != b.ns ? a.ns < b.ns : a.begins && !b.begins;  // an event of 0 ns begins before it ends
  });
  running_.clear();
  std::int64_t before = step.begin_ns;
  for (const Edge& edge : edges_) {
    const double part = static_cast<double>(edge.ns - before) / static_cast<double>(running_.size());
    for (const std::size_t e : running_) row_of(step.events[e]).ns += part;
    before = edge.ns;
    if (edge.begins) {
      running_.push_back(edge.event);
    } else {
      std::erase(running_, edge.event);
    }
  }
}

void ProfileReport::print(std::ostream& out, const std::string& what) {
  if (steps_ == 0) {
    out << "\nThe run took no step, so there is no profile.\n";
    return;
  }
  const Roof roof = mean(roof_, best_roof());
  const double steps = static_cast<double>(steps_);
  const auto line = [&](const std::string& label, const Row& row) {
    const Speed reached = speed(row, roof);
    out << std::left << std::setw(26) << label << std::right << std::setw(7)
        << (row.calls > 0 ? format_fixed(static_cast<double>(row.calls) / steps, 0) : "") << std::setw(11)
        << format_fixed(row.ns / steps / kNsPerMs, 2) << std::setw(8)
        << format_fixed(100 * row.ns / step_ns_, 1) + "%" << std::setw(15) << reached.text << std::setw(8)
        << reached.share_of_roof << std::setw(12)
        << (row.allocated_bytes > 0
                ? format_fixed(static_cast<double>(row.allocated_bytes) / steps / kMiB, 1) + " MiB"
                : "")
        << "\n";
  };
  out << "\nProfile of " << steps_ << " steps" << (seen_ > kColdSteps ? ", without the first two" : "")
      << "; " << what
      << "\nRoof (peak speeds, measured before and after the steps): " << format_fixed(roof.fma_gflops, 0)
      << " GFLOP/s f32, ";
  if (roof.bf16_gflops > 0) out << format_fixed(roof.bf16_gflops, 0) << " GFLOP/s bf16, ";
  out << "triad " << format_fixed(roof.triad_gbs, 1) << " GB/s\n\n"
      << "                            calls    ms/step   share          speed of roof   allocated\n";

  Row whole{Phase::data, "step"};
  for (const Phase phase : kPhases) {
    Row sum{phase, name(phase)};
    for (const Row& row : rows_) {
      if (row.phase != phase) continue;
      sum.ns += row.ns, sum.flops += row.flops, sum.bf16_flops += row.bf16_flops, sum.bytes += row.bytes;
      sum.allocated_bytes += row.allocated_bytes;
    }
    if (phase == Phase::recomputed && sum.ns == 0) continue;
    line(sum.name, sum);
    for (const Row& row : rows_) {
      if (row.phase == phase) line(str("  ", row.name), row);
    }
    whole.ns += sum.ns, whole.flops += sum.flops, whole.bf16_flops += sum.bf16_flops,
        whole.bytes += sum.bytes;
    whole.allocated_bytes += sum.allocated_bytes;
  }
  Row other{Phase::data, "other"};
  other.ns = step_ns_ - whole.ns;
  line(other.name, other);
  whole.ns = step_ns_;
  line(whole.name, whole);
  out << "\nMemory pages were requested from the system " << page_allocations_ << " times in " << steps_
      << " steps.\n"
      << "If n ops run at the same time on several threads, each row is given 1/n of that time. 'of roof' is "
         "the shortest\n"
      << "time in which the machine could do the row's arithmetic or its memory traffic (the longer of the "
         "two), divided by\n"
      << "the row's time. It can be above 100% if data stays in the caches or is updated in place.\n";
}

}  // namespace inkling
