#include "bench/peers.h"

#include <dlfcn.h>

#include <cstdlib>

#include "core/cpu.h"
#include "core/error.h"

namespace inkling::bench {

namespace {

template <class Function>
Function find(void* library, const char* symbol) {
  return reinterpret_cast<Function>(dlsym(library, symbol));
}

// cblas.h: row-major 101, no transpose 111, transpose 112.
using CblasSgemm = void (*)(int, int, int, int, int, int, float, const float*, int, const float*, int, float,
                            float*, int);
// dnnl.h: row-major, 'N' or 'T'.
using DnnlSgemm = int (*)(char, char, std::int64_t, std::int64_t, std::int64_t, float, const float*,
                          std::int64_t, const float*, std::int64_t, float, float*, std::int64_t);
struct DnnlVersion {
  int major, minor, patch;
};

CblasSgemm cblas_sgemm = nullptr;
DnnlSgemm dnnl_sgemm = nullptr;

}  // namespace

std::optional<GemmPeer> openblas(int threads) {
  // 0.3.21 takes a CPU younger than itself for a Prescott and runs SSE2: tell it what it can use, unless the
  // user did.
  if (cpu().avx512) setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
  void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  cblas_sgemm = find<CblasSgemm>(library, "cblas_sgemm");
  const auto set_threads = find<void (*)(int)>(library, "openblas_set_num_threads");
  const auto config = find<char* (*)()>(library, "openblas_get_config");
  if (cblas_sgemm == nullptr || set_threads == nullptr) return std::nullopt;
  set_threads(threads);
  std::string version = config != nullptr ? config() : "OpenBLAS";  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
  version = version.substr(0, version.find(' ', version.find(' ') + 1));
  return GemmPeer{version,
                  [](bool ta, bool tb, std::int64_t M, std::int64_t N, std::int64_t K, const float* A,
                     std::int64_t lda, const float* B, std::int64_t ldb, float* C, std::int64_t ldc) {
                    cblas_sgemm(101, ta ? 112 : 111, tb ? 112 : 111, static_cast<int>(M), static_cast<int>(N),
                                static_cast<int>(K), 1.0f, A, static_cast<int>(lda), B, static_cast<int>(ldb),
                                0.0f, C, static_cast<int>(ldc));
                  }};
}

std::optional<GemmPeer> onednn() {
  void* library = nullptr;
  for (const char* name : {"libdnnl.so.3", "libdnnl.so.2"}) {
    if (library == nullptr) library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  }
  if (library == nullptr) return std::nullopt;
  dnnl_sgemm = find<DnnlSgemm>(library, "dnnl_sgemm");
  const auto version = find<const DnnlVersion* (*)()>(library, "dnnl_version");
  if (dnnl_sgemm == nullptr || version == nullptr) return std::nullopt;
  return GemmPeer{str("oneDNN ", version()->major, ".", version()->minor, ".", version()->patch),
                  [](bool ta, bool tb, std::int64_t M, std::int64_t N, std::int64_t K, const float* A,
                     std::int64_t lda, const float* B, std::int64_t ldb, float* C, std::int64_t ldc) {
                    dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', M, N, K, 1.0f, A, lda, B, ldb, 0.0f, C, ldc);
                  }};
}

}  // namespace inkling::bench
