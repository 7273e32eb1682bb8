// The CPU's features, compared with the features that Linux reports.
#include "core/cpu.h"

#include <fstream>
#include <sstream>

#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

TEST_CASE("cpu: instruction sets have the names that INKLING_ISA takes") {
  CHECK(std::string(name(Isa::scalar)) == "scalar");
  CHECK(std::string(name(Isa::neon)) == "neon");
  CHECK(std::string(name(Isa::sse2)) == "sse2");
  CHECK(std::string(name(Isa::avx2)) == "avx2");
  CHECK(std::string(name(Isa::avx512)) == "avx512");
  CHECK(std::string(name(Isa::avx512_bf16)) == "avx512_bf16");
  CHECK(std::string(name(Isa::amx)) == "amx");
}

TEST_CASE(
    "cpu: the available instruction sets are scalar, neon or sse2, and all that the CPU's features allow, in "
    "order") {
#if defined(__aarch64__)
  std::vector<Isa> want = {Isa::scalar, Isa::neon};
#else
  std::vector<Isa> want = {Isa::scalar, Isa::sse2};
#endif
  if (cpu().avx2) want.push_back(Isa::avx2);
  if (cpu().avx512) want.push_back(Isa::avx512);
  if (cpu().avx512_bf16) want.push_back(Isa::avx512_bf16);
  if (cpu().amx_bf16) want.push_back(Isa::amx);
  CHECK(available_isas() == want);
}

#if defined(__x86_64__)
// The value of a key of the first CPU in /proc/cpuinfo; an empty string if the key is missing.
std::string cpuinfo(const std::string& key) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(key)) return line.substr(line.find(':') + 1);
  }
  return "";
}

TEST_CASE("cpu: features and model name are the ones that Linux reports") {
  const std::string flags = cpuinfo("flags") + " ";
  if (flags == " ") return;  // a sandbox may hide /proc/cpuinfo
  const auto has = [&](const char* list) {
    std::istringstream words(list);
    for (std::string word; words >> word;) {
      if (flags.find(" " + word + " ") == std::string::npos) return false;
    }
    return true;
  };
  CHECK(cpu().avx2 == has("avx avx2 fma"));
  CHECK(cpu().avx512 == has("avx2 fma avx512f avx512bw avx512cd avx512dq avx512vl"));
  CHECK(cpu().avx512_bf16 == (cpu().avx512 && has("avx512_bf16 avx512_vnni")));
  if (cpu().amx_bf16) CHECK(has("amx_tile amx_bf16"));  // the system may also forbid AMX to a process
  std::istringstream name(cpuinfo("model name"));
  for (std::string word; name >> word;) CHECK(cpu().model.find(word) != std::string::npos);
}
#endif

}  // namespace
}  // namespace inkling
