#include "apps/report/session.h"

#include <filesystem>

#include "apps/number_flag.h"
#include "apps/run/run_directory.h"
#include "apps/run/strict_json.h"
#include "apps/version.h"
#include "core/cpu.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling::report {

namespace {

constexpr const char* kFile = "/session.json";

}  // namespace

Session this_session() {
  return {.cpu = cpu().model, .isa = name(kernels().isa), .version = kVersion, .threads = threads()};
}

void write_session(const std::string& run, const Session& s) {
  write_json(run + kFile, {{"cpu", s.cpu},
                           {"isa", s.isa},
                           {"version", s.version},
                           {"threads", s.threads},
                           {"end", s.end},
                           {"roof_gflops", s.roof_gflops}});
}

std::optional<Session> read_session(const std::string& run) {
  const std::string path = run + kFile;
  if (!std::filesystem::exists(path)) return std::nullopt;
  const nlohmann::json json = read_json(path);
  const JsonObject object(json, path);
  return Session{.cpu = object.text("cpu"),
                 .isa = object.text("isa"),
                 .version = object.text("version"),
                 .threads = static_cast<int>(object.integer("threads", 1, kMostThreads)),
                 .end = object.text("end"),
                 .roof_gflops = object.has("roof_gflops") ? object.number("roof_gflops") : 0};
}

}  // namespace inkling::report
