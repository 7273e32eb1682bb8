#include "apps/run/trace.h"

#include <set>

#include "core/binary_file.h"

namespace inkling {

using nlohmann::json;

namespace {

json lasting(const std::string& name, const char* category, int thread, std::int64_t begin_ns,
             std::int64_t end_ns) {
  return {{"ph", "X"},
          {"pid", 0},
          {"tid", thread},
          {"name", name},
          {"cat", category},
          {"ts", static_cast<double>(begin_ns) / 1e3},
          {"dur", static_cast<double>(end_ns - begin_ns) / 1e3}};
}

json of_event(const ProfileEvent& event) {
  json out = lasting(event.name, name(event.phase), event.thread, event.begin_ns, event.end_ns);
  json& args = out["args"] = json::object();
  if (event.shape.rank > 0) args["shape"] = str(event.shape);
  if (event.work.flops > 0) {
    args["flops"] = event.work.flops;
    args["operands"] = name(event.work.operands);
  }
  if (event.work.bytes > 0) args["bytes"] = event.work.bytes;
  if (event.allocated_bytes > 0) args["allocated_bytes"] = event.allocated_bytes;
  return out;
}

json named(const char* what, int thread, const std::string& name) {
  return {{"ph", "M"}, {"pid", 0}, {"tid", thread}, {"name", what}, {"args", {{"name", name}}}};
}

}  // namespace

json trace_of(const std::vector<const ProfileStep*>& steps) {
  json events = json::array();
  std::set<int> threads = {0};
  events.push_back(named("process_name", 0, "inkling"));
  for (const ProfileStep* step : steps) {
    events.push_back(lasting(str("step ", step->number), "step", 0, step->begin_ns, step->end_ns));
    for (const ProfileEvent& event : step->events) {
      events.push_back(of_event(event));
      threads.insert(event.thread);
    }
  }
  for (const int thread : threads) {
    events.push_back(named("thread_name", thread, thread == 0 ? "main thread" : str("worker ", thread)));
  }
  return {{"displayTimeUnit", "ms"}, {"traceEvents", events}};
}

void write_trace(const std::string& path, const std::vector<const ProfileStep*>& steps) {
  AtomicFile file(path);
  file.write(trace_of(steps).dump() + "\n");
  file.commit();
}

}  // namespace inkling
