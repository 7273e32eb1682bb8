// ProfileReport: the table of `inkling train --profile`. It shows the time of each op in a step, and how
// close the op's speed is to the machine's peak (the roof).
//
// Forward ops run one after another, but nodes of backward run at the same time on several threads. If n ops
// run at the same time, each op is given 1/n of this time. So the sum of all rows (with the row "other") is
// the step's time, and a row's speed is the speed of the whole machine, not of one thread. core/profile.h
// records the events; ops/roof/roof.h measures the roof.
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
  ProfileReport();  // measures the machine's peak, which takes a tenth of a second

  Profile& profile() { return profile_; }
  void begin_step(std::int64_t number) { profile_.begin_step(number); }
  void end_step() { add(profile_.end_step()); }

  // Adds a step to the table. The first two steps of a run are slow, because they use their memory for the
  // first time. When the third step is added, the first two are removed from the table.
  void add(const ProfileStep& step);

  // A row of the table: one op, summed over all steps.
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

  // Measures the roof a second time and prints the table. `what` describes the run: threads, instruction set,
  // precision.
  void print(std::ostream& out, const std::string& what);

 private:
  Row& row_of(const ProfileEvent& event);

  Profile profile_;
  Roof roof_;
  std::vector<Row> rows_;  // the rows, in the order of the first event of each op
  std::int64_t seen_ = 0, steps_ = 0;
  double step_ns_ = 0;  // the sum of the times of all steps
  std::int64_t page_allocations_ = 0;
  struct Edge {
    std::int64_t ns;
    std::size_t event;
    bool begins;
  };
  std::vector<Edge> edges_;           // the edges of one step; a member, to reuse its memory
  std::vector<std::size_t> running_;  // the events that run between two edges
};

}  // namespace inkling
