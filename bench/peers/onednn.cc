#include "bench/peers/onednn.h"

#include <algorithm>
#include <chrono>
#include <dnnl.hpp>
#include <functional>
#include <string>
#include <vector>

namespace {

using dnnl::memory;

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}
dnnl::stream& stream() {
  static dnnl::stream on_cpu(engine());
  return on_cpu;
}

using Call = std::function<void()>;

dnnl::matmul::primitive_desc describe(const memory::desc& a, const memory::desc& b, const memory::desc& c) {
#if DNNL_VERSION_MAJOR >= 3
  return dnnl::matmul::primitive_desc(engine(), a, b, c);
#else
  return dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), engine());
#endif
}

// The matmul primitive, with B in row-major order, or packed in the layout that the primitive prefers.
Call primitive(const OneDnnMatmul& m, bool packed) {
  const auto type = m.bf16 ? memory::data_type::bf16 : memory::data_type::f32;
  const auto layout = [](bool transposed) {
    return transposed ? memory::format_tag::ba : memory::format_tag::ab;
  };
  const memory::desc a_desc({m.M, m.K}, type, layout(m.transpose_a)),
      b_desc({m.K, m.N}, type, layout(m.transpose_b));
  const memory::desc c_desc({m.M, m.N}, m.c_bf16 ? memory::data_type::bf16 : memory::data_type::f32,
                            memory::format_tag::ab);
  const auto description =
      describe(a_desc, packed ? memory::desc({m.K, m.N}, type, memory::format_tag::any) : b_desc, c_desc);
  memory a(a_desc, engine(), const_cast<void*>(m.a)), b(b_desc, engine(), const_cast<void*>(m.b));
  memory c(c_desc, engine(), m.c);
  if (packed && description.weights_desc() != b_desc) {
    memory in_its_layout(description.weights_desc(), engine());
    dnnl::reorder(b, in_its_layout).execute(stream(), b, in_its_layout);
    stream().wait();
    b = in_its_layout;
  }
  return [=, call = dnnl::matmul(description)]() mutable {
    call.execute(stream(), {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}});
    stream().wait();
  };
}

Call sgemm(const OneDnnMatmul& m) {
  return [=] {
    dnnl_sgemm(m.transpose_a ? 'T' : 'N', m.transpose_b ? 'T' : 'N', m.M, m.N, m.K, 1.0f,
               static_cast<const float*>(m.a), m.transpose_a ? m.M : m.K, static_cast<const float*>(m.b),
               m.transpose_b ? m.K : m.N, 0.0f, static_cast<float*>(m.c), m.N);
  };
}

double seconds(const Call& call) {
  constexpr int kTries = 5;
  double least = 1e9;
  for (int i = 0; i <= kTries; ++i) {  // the first is a warm-up
    const auto start = std::chrono::steady_clock::now();
    call();
    const double s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (i > 0) least = std::min(least, s);
  }
  return least;
}

}  // namespace

const char* onednn_version() {
  static const std::string text = [] {
    const dnnl_version_t* v = dnnl_version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
           std::to_string(v->patch);
  }();
  return text.c_str();
}

void* onednn_prepare(const OneDnnMatmul* m) {
  std::vector<Call> ways;
  for (const auto& make : {std::function<Call()>([&] { return primitive(*m, false); }),
                           std::function<Call()>([&] { return primitive(*m, true); })}) {
    try {
      if (ways.empty() || m->pack_b) ways.push_back(make());
    } catch (const dnnl::error&) {
    }  // this CPU cannot run it
  }
  if (!m->bf16) ways.push_back(sgemm(*m));
  if (ways.empty()) return nullptr;
  const auto faster = [](const Call& x, const Call& y) { return seconds(x) < seconds(y); };
  return new Call(*std::min_element(ways.begin(), ways.end(), faster));
}

void onednn_run(void* prepared) {
  (*static_cast<Call*>(prepared))();
}

void onednn_free(void* prepared) {
  delete static_cast<Call*>(prepared);
}
