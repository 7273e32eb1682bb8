// The table of `inkling train --profile`: what a step's time goes into, op by op, and how near each op is to
// what the machine can do.
//
// Forward ops follow one another; nodes of backward run side by side on several threads. Where several ran at
// once, each gets its part of that time, so that the rows add up to the step and a row's speed is what it got
// of the machine. The recorder is core/profile.h, the roof ops/roof/roof.h.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "core/profile.h"
#include "ops/roof/roof.h"

namespace inkling {

class ProfileReport {
 public:
  ProfileReport();  // measures the roof, which takes a tenth of a second

  Profile& profile() { return profile_; }
  void begin_step(std::int64_t number) { profile_.begin_step(number); }
  void end_step() { add(profile_.end_step()); }

  // Counts a step in. The first two of a run touch their memory for the first time and are forgotten when a
  // third comes.
  void add(const ProfileStep& step);

  // One op of the table, summed over the steps.
  struct Row {
    Phase phase;
    const char* name;
    std::int64_t calls = 0;
    double ns = 0;
    double flops = 0, bf16_flops = 0, bytes = 0;
    std::int64_t allocated_bytes = 0;
  };
  const std::vector<Row>& rows() const { return rows_; }
  std::int64_t steps() const { return steps_; }
  double step_ns() const { return step_ns_; }  // of all steps together

  // Measures the roof again. `what` describes the run: threads, instruction set, precision.
  void print(std::ostream& out, const std::string& what);

 private:
  Row& row_of(const ProfileEvent& event);

  Profile profile_;
  Roof roof_;
  std::vector<Row> rows_;  // in the order in which they were met
  std::int64_t seen_ = 0, steps_ = 0;
  double step_ns_ = 0;
  std::int64_t page_allocations_ = 0;
  struct Edge {
    std::int64_t ns;
    std::size_t event;
    bool begins;
  };
  std::vector<Edge> edges_;           // of the step being added; kept, so that it need not grow again
  std::vector<std::size_t> running_;  // the same
};

}  // namespace inkling
