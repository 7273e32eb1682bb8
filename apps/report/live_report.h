// LiveReport: keeps report.html and session.json of a run up to date while it trains.
//
// A report must not disturb the training: if it cannot be written, there is one warning and the run goes on.
// Reports of long runs take longer, so update() skips reports that would take more than 2% of the time. Each
// report measures the peak speed of the machine, because the speed of a shared machine changes.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "apps/report/session.h"

namespace inkling::report {

class LiveReport {
 public:
  // `run` is the directory of the run, which must have a config.json. Writes session.json.
  LiveReport(std::string run, std::function<void(const std::string&)> warn);

  void update();                                     // the run is training
  void finish(const std::string& end);               // the training has ended; `end` as in Session
  const std::string& path() const { return path_; }  // of report.html; empty if it could not be written

 private:
  using Clock = std::chrono::steady_clock;
  void write(bool is_running);
  void measure_roof();

  std::string run_, path_;
  std::function<void(const std::string&)> warn_;
  Session session_;
  bool has_warned_ = false, uses_bf16_ = false;
  double sum_of_roofs_ = 0;
  int roofs_ = 0;
  Clock::time_point written_ = {};
  Clock::duration took_ = {};
};

}  // namespace inkling::report
