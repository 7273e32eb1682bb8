#include "apps/report/live_report.h"

#include <utility>

#include "apps/report/report.h"
#include "core/error.h"
#include "ops/roof/arithmetic_roof.h"

namespace inkling::report {

LiveReport::LiveReport(std::string run, std::function<void(const std::string&)> warn)
    : run_(std::move(run)), warn_(std::move(warn)), session_(this_session()) {
  write(true);
}

void LiveReport::update() {
  if (Clock::now() - written_ < 50 * took_) return;
  const Clock::time_point start = Clock::now();
  measure_roof();
  write(true);
  took_ = written_ - start;
}

void LiveReport::finish(const std::string& end) {
  session_.end = end;
  measure_roof();
  write(false);
}

void LiveReport::measure_roof() {
  const Roof roof = arithmetic_roof();
  sum_of_roofs_ += uses_bf16_ && roof.bf16_gflops > 0 ? roof.bf16_gflops : roof.fma_gflops;
  session_.roof_gflops = sum_of_roofs_ / ++roofs_;
}

void LiveReport::write(bool is_running) {
  const Clock::time_point start = Clock::now();
  try {
    write_session(run_, session_);
    RunRecord run = read_run(run_);
    uses_bf16_ = run.settings.precision == "bf16";
    run.is_running = is_running;
    const std::string path = run_ + "/" + kReportFile;
    write_page(path, run_page(run));
    path_ = path;
  } catch (const Error& error) {
    path_.clear();
    if (!std::exchange(has_warned_, true)) warn_(str("the report could not be written: ", error.what()));
  }
  written_ = Clock::now();
  took_ = written_ - start;
}

}  // namespace inkling::report
