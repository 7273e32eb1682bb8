#include "bench/peers.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <memory>

#include "bench/peers/onednn.h"
#include "bench/python_process.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling::bench {

namespace {

template <class Function>
Function find(void* library, const char* symbol) {
  return reinterpret_cast<Function>(dlsym(library, symbol));
}

struct OpenBlas {
  std::string name;  // empty if OpenBLAS is not installed
  // cblas.h: row-major 101, no transpose 111, transpose 112
  void (*sgemm)(int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*,
                int);
};

OpenBlas open_openblas() {
  // Version 0.3.21 treats an unknown newer CPU as a Prescott and uses SSE2. So name the best kernels that
  // this CPU can run, unless the user has chosen some.
  if (cpu().avx512) setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
  void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {};
  const auto sgemm = find<decltype(OpenBlas::sgemm)>(library, "cblas_sgemm");
  const auto set_threads = find<void (*)(int)>(library, "openblas_set_num_threads");
  const auto config = find<char* (*)()>(library, "openblas_get_config");
  if (sgemm == nullptr || set_threads == nullptr) return {};
  set_threads(threads());
  std::string version = config != nullptr ? config() : "OpenBLAS";  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
  return {version.substr(0, version.find(' ', version.find(' ') + 1)), sgemm};
}

const OpenBlas& openblas() {
  static const OpenBlas library = open_openblas();
  return library;
}

struct OneDnn {
  std::string name;  // empty if oneDNN is not installed
  decltype(&onednn_prepare) prepare = nullptr;
  decltype(&onednn_run) run = nullptr;
  decltype(&onednn_free) free = nullptr;
};

OneDnn open_onednn() {
  const auto beside = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "bench/peers/onednn.so";
  void* library = dlopen(beside.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {};
  return {find<decltype(&onednn_version)>(library, "onednn_version")(),
          find<decltype(&onednn_prepare)>(library, "onednn_prepare"),
          find<decltype(&onednn_run)>(library, "onednn_run"),
          find<decltype(&onednn_free)>(library, "onednn_free")};
}

const OneDnn& onednn() {
  static const OneDnn library = open_onednn();
  return library;
}

}  // namespace

void use_python(const std::string& program) {
  python_program() = program;
}

std::vector<std::string> peer_names() {
  std::vector<std::string> names;
  for (const std::string& name : {openblas().name, onednn().name, torch_name(), tiktoken_name()}) {
    if (!name.empty()) names.push_back(name);
  }
  return names;
}

std::vector<Peer> matmul_peers(const Matmul& m) {
  std::vector<Peer> peers;
  if (!onednn().name.empty()) {
    const OneDnnMatmul request{m.M, m.N, m.K, m.transpose_a, m.transpose_b, m.bf16, m.c_bf16, m.b_is_weight,
                               m.a, m.b, m.c};
    if (void* prepared = onednn().prepare(&request)) {
      const std::shared_ptr<void> kept(prepared, onednn().free);
      peers.push_back({onednn().name, [kept] { onednn().run(kept.get()); }});
    }
  }
  if (!openblas().name.empty() && !m.bf16) {
    peers.push_back({openblas().name, [m] {
                       const auto as_int = [](std::int64_t n) { return static_cast<int>(n); };
                       openblas().sgemm(101, m.transpose_a ? 112 : 111, m.transpose_b ? 112 : 111,
                                        as_int(m.M), as_int(m.N), as_int(m.K), 1.0f,
                                        static_cast<const float*>(m.a), as_int(m.transpose_a ? m.M : m.K),
                                        static_cast<const float*>(m.b), as_int(m.transpose_b ? m.K : m.N),
                                        0.0f, static_cast<float*>(m.c), as_int(m.N));
                     }});
  }
  return peers;
}

std::vector<Peer> torch_peers(const std::string& what, const GPT2Config& c, std::int64_t B, std::int64_t T,
                              Precision precision) {
  if (torch_name().empty()) return {};
  const std::vector<std::string> arguments = {what,
                                              "--layers",
                                              str(c.layers),
                                              "--heads",
                                              str(c.heads),
                                              "--channels",
                                              str(c.channels),
                                              "--vocab-size",
                                              str(c.vocab_size),
                                              "--max-seq-len",
                                              str(c.max_seq_len),
                                              "--batch-size",
                                              str(B),
                                              "--seq-len",
                                              str(T),
                                              "--threads",
                                              str(threads()),
                                              "--precision",
                                              name(precision)};
  const auto process = std::make_shared<PythonProcess>(kTorchStep, arguments);
  if (!process->ready()) return {};
  return {{torch_name(), nullptr, [process] { return process->seconds(); }}};
}

std::vector<Peer> tiktoken_peers(const std::string& tokenizer, const std::vector<std::string>& texts) {
  if (tiktoken_name().empty()) return {};
  std::vector<std::string> arguments = {tokenizer};
  arguments.insert(arguments.end(), texts.begin(), texts.end());
  const auto process = std::make_shared<PythonProcess>(kTiktokenEncode, arguments);
  if (!process->ready()) return {};
  return {{tiktoken_name(), nullptr, [process] { return process->seconds(); }}};
}

}  // namespace inkling::bench
