#include "apps/report/live_report.h"

#include <utility>

#include "apps/report/report.h"
#include "core/error.h"

namespace inkling::report {

LiveReport::LiveReport(std::string run, std::function<void(const std::string&)> warn)
    : run_(std::move(run)), warn_(std::move(warn)), session_(this_session()) {
  write(true);
}

void LiveReport::update() {
  if (Clock::now() - written_ >= 50 * took_) write(true);
}

void LiveReport::finish(const std::string& end) {
  session_.end = end;
  write(false);
}

void LiveReport::write(bool is_running) {
  const Clock::time_point start = Clock::now();
  try {
    write_session(run_, session_);
    RunRecord run = read_run(run_);
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
