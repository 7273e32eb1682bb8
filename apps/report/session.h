// session.json: the machine of the newest training in a run directory, and how that training ended.
#pragma once

#include <optional>
#include <string>

namespace inkling::report {

struct Session {
  std::string cpu, isa, version;
  int threads = 0;
  // "" while the run is training, and after a crash; "complete", "stopped", or the message of a run that
  // diverged.
  std::string end = {};
  // The peak speed of the arithmetic that the run uses, in GFLOP/s: the mean of what was measured between
  // steps (ops/roof/roof.h). 0: it was not measured.
  double roof_gflops = 0;
  bool has_diverged() const { return end.starts_with("diverged"); }
};

Session this_session();  // the session of this process, on this machine
void write_session(const std::string& run, const Session& session);
// Returns nothing if the run has no session.json. Error if the file is damaged.
std::optional<Session> read_session(const std::string& run);

}  // namespace inkling::report
