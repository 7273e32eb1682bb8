// Helpers for all tests: running a test on every instruction set, buffers with guard bytes around them,
// comparisons that report the element that differs, and gradcheck.
//
// The chain of trust: gradcheck in double proves the gradient of each reference. The reference proves the
// SIMD kernels on every instruction set, at odd sizes and alignments, between guard bytes. Numbers from
// PyTorch (tests/goldens) prove the model.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/cpu.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "core/tape.h"
#include "ops/kernels.h"
#include "tests/catch.h"

namespace inkling {

// The table of the amx kernels with emulated tiles (tests/emulated_amx_kernels.cc). It needs a CPU with
// AVX512-BF16.
const Kernels& emulated_amx_kernels();

}  // namespace inkling

namespace inkling::test {

// RestoreThreads remembers the number of threads and sets it again when the scope ends. RestoreIsa does the
// same with the table of kernels. Both also work when a REQUIRE fails, because Catch2 then throws an
// exception.
class RestoreThreads {
 public:
  RestoreThreads() = default;
  RestoreThreads(const RestoreThreads&) = delete;
  RestoreThreads& operator=(const RestoreThreads&) = delete;
  ~RestoreThreads() { set_threads(before_); }

 private:
  int before_ = threads();
};
class RestoreIsa {
 public:
  RestoreIsa() = default;
  RestoreIsa(const RestoreIsa&) = delete;
  RestoreIsa& operator=(const RestoreIsa&) = delete;
  ~RestoreIsa() { use_table(before_); }

 private:
  const Kernels& before_ = kernels();
};

// All tables of kernels that can run on this machine: one for each instruction set of the CPU. A CPU with
// AVX512-BF16 but without AMX runs the amx kernels on emulated tiles.
inline std::vector<const Kernels*> tables() {
  std::vector<const Kernels*> all;
  for (Isa isa : available_isas()) all.push_back(&kernels(isa));
#if defined(__x86_64__)
  if (cpu().avx512_bf16 && !cpu().amx_bf16) all.push_back(&emulated_amx_kernels());
#endif
  return all;
}

// Runs `body` once for each of these tables, with kernels() set to it.
inline void for_each_isa(const std::function<void()>& body) {
  const RestoreIsa restore;
  for (const Kernels* table : tables()) {
    use_table(*table);
    INFO("instruction set " << name(table->isa));
    body();
  }
}

// True if the kernels round their inputs to 16 bits before they multiply them by 8-bit weights
// (ops/gemm/gemv_int8.h).
inline bool rounds_int8_inputs() {
  return kernels().isa >= Isa::avx512_bf16;
}

// Lengths around the width W of a SIMD register: 1 .. 2W+1 for the widest register (W = 16), and a few larger
// lengths.
inline std::vector<std::int64_t> odd_sizes() {
  std::vector<std::int64_t> sizes;
  for (std::int64_t n = 1; n <= 33; ++n) sizes.push_back(n);
  for (std::int64_t n : {47, 64, 100, 127, 768}) sizes.push_back(n);
  return sizes;
}

inline std::vector<double> random_values(std::int64_t n, std::uint64_t seed, double scale = 1.0) {
  Rng rng(seed, 77);
  std::vector<double> values(static_cast<std::size_t>(n));
  for (double& v : values) v = scale * rng.normal();
  return values;
}

// The same numbers as random_values, rounded to float.
inline std::vector<float> random_floats(std::int64_t n, std::uint64_t seed, double scale = 1.0) {
  const std::vector<double> values = random_values(n, seed, scale);
  return {values.begin(), values.end()};
}

// n token ids from 0 to V - 1.
inline std::vector<std::int32_t> random_ids(std::int64_t n, std::int64_t V, std::uint64_t seed = 6) {
  Rng rng(seed);
  std::vector<std::int32_t> ids(static_cast<std::size_t>(n));
  for (std::int32_t& id : ids) id = static_cast<std::int32_t>(rng.below(static_cast<std::uint64_t>(V)));
  return ids;
}

inline std::vector<float> floats(const std::vector<double>& x) {
  return {x.begin(), x.end()};
}

inline std::vector<double> as_doubles(std::span<const float> x) {
  return {x.begin(), x.end()};
}

// The largest relative error of rounding to bf16, which is half a unit in the last place. For a number just
// above a power of two this is 1/2^8 of the number.
constexpr double kBf16Rounding = 1.0 / 256;

inline std::vector<bf16> to_bf16(std::span<const float> x) {
  std::vector<bf16> rounded;
  for (float v : x) rounded.push_back(inkling::to_bf16(v));
  return rounded;
}

inline std::vector<float> widened(std::span<const bf16> x) {
  std::vector<float> wide;
  for (bf16 v : x) wide.push_back(to_float(v));
  return wide;
}

// Random floats rounded to bf16. A later conversion to bf16 changes nothing.
inline std::vector<float> random_bf16s(std::int64_t n, std::uint64_t seed, double scale = 1.0) {
  return widened(to_bf16(random_floats(n, seed, scale)));
}

// Tensors of at most 64 zeros, of each dtype, for tests of the errors about a wrong dtype.
class Zeros {
 public:
  Tensor f32(const Shape& shape) { return Tensor(floats_.data(), shape); }
  Tensor i32(const Shape& shape) { return Tensor(integers_.data(), shape); }
  Tensor bf16(const Shape& shape) { return Tensor(halves_.data(), shape); }

 private:
  std::array<float, 64> floats_{};
  std::array<std::int32_t, 64> integers_{};
  std::array<inkling::bf16, 64> halves_{};
};

// A buffer of n numbers. Its address is `misaligned_by` numbers past a 64-byte boundary. Guard bytes lie
// before and after the numbers. check() reports a failure if the guard bytes have changed: then something was
// written outside the buffer.
template <class T>
class GuardedOf {
 public:
  static constexpr std::int64_t kGuard = 64 / sizeof(T);

  explicit GuardedOf(std::int64_t n, std::int64_t misaligned_by = 0, T fill = T{})
      : n_(n), memory_(static_cast<std::size_t>(n + 3 * kGuard + misaligned_by)) {
    std::memset(static_cast<void*>(memory_.data()), kSentinel, memory_.size() * sizeof(T));
    const auto address = reinterpret_cast<std::uintptr_t>(memory_.data() + kGuard);
    const auto to_boundary = static_cast<std::int64_t>((64 - address % 64) % 64 / sizeof(T));
    begin_ = kGuard + to_boundary + misaligned_by;
    for (std::int64_t i = 0; i < n; ++i) data()[i] = fill;
  }
  GuardedOf(std::span<const T> values, std::int64_t misaligned_by)
      : GuardedOf(static_cast<std::int64_t>(values.size()), misaligned_by) {
    for (std::int64_t i = 0; i < n_; ++i) data()[i] = values[static_cast<std::size_t>(i)];
  }

  T* data() { return memory_.data() + begin_; }
  std::span<const T> values() const { return {memory_.data() + begin_, static_cast<std::size_t>(n_)}; }

  void check() const {
    for (std::int64_t i = 0; i < static_cast<std::int64_t>(memory_.size()); ++i) {
      if (i >= begin_ && i < begin_ + n_) continue;
      const auto* bytes = reinterpret_cast<const unsigned char*>(&memory_[static_cast<std::size_t>(i)]);
      if (std::all_of(bytes, bytes + sizeof(T), [](unsigned char b) { return b == kSentinel; })) continue;
      FAIL_CHECK("wrote outside the buffer: element " << i - begin_ << " of " << n_);
    }
  }

 private:
  static constexpr unsigned char kSentinel = 0x5a;

  std::int64_t n_;
  std::int64_t begin_ = 0;
  std::vector<T> memory_;
};
using Guarded = GuardedOf<float>;
using GuardedBf16 = GuardedOf<bf16>;

// |got - want| <= absolute + relative * |want|.
struct Tolerance {
  double absolute;
  double relative;
};

// Compares element by element and reports the first element that differs by more than the tolerance, with its
// name and index. A NaN equals only a NaN.
template <class T, class U>
void check_close(const std::string& what, std::span<const T> got, std::span<const U> want,
                 Tolerance tolerance) {
  REQUIRE(got.size() == want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    const auto g = static_cast<double>(got[i]), w = static_cast<double>(want[i]);
    if (std::isnan(g) && std::isnan(w)) continue;
    if (g == w || std::abs(g - w) <= tolerance.absolute + tolerance.relative * std::abs(w)) continue;
    FAIL_CHECK(what << "[" << i << "] is " << g << ", expected " << w << " (difference " << g - w << ")");
    return;
  }
  CHECK(true);
}
inline void check_close(const std::string& what, std::span<const float> got, std::span<const float> want,
                        Tolerance t) {
  check_close<float, float>(what, got, want, t);
}
inline void check_close(const std::string& what, std::span<const float> got, std::span<const double> want,
                        Tolerance t) {
  check_close<float, double>(what, got, want, t);
}
inline void check_close(const std::string& what, std::span<const bf16> got, std::span<const double> want,
                        Tolerance t) {
  check_close<float, double>(what, widened(got), want, t);
}

// Central differences in double have an error of about h^2 from the formula and of about eps/h from rounding.
// With h = 1e-5 both are about 1e-10 or less for functions of size 1. The tolerance leaves room for larger
// ones.
constexpr double kGradcheckStep = 1e-5;
constexpr Tolerance kGradcheckTolerance{1e-7, 1e-6};

// Checks dx = d loss / d x, where `loss` recomputes the loss from the current values of x.
inline void gradcheck(const std::string& argument, std::vector<double>& x, const std::vector<double>& dx,
                      const std::function<double()>& loss) {
  REQUIRE(x.size() == dx.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double before = x[i];
    x[i] = before + kGradcheckStep;
    const double above = loss();
    x[i] = before - kGradcheckStep;
    const double below = loss();
    x[i] = before;
    const double numeric = (above - below) / (2 * kGradcheckStep);
    const double allowed = kGradcheckTolerance.absolute + kGradcheckTolerance.relative * std::abs(numeric);
    if (std::abs(numeric - dx[i]) <= allowed) continue;
    FAIL_CHECK("gradient of " << argument << "[" << i << "] is " << dx[i] << ", central differences give "
                              << numeric);
    return;
  }
  CHECK(true);
}

// sum_i y_i * w_i: makes a scalar loss from an op's output y. The gradient of this loss with respect to y is
// w.
inline double dot(const std::vector<double>& y, const std::vector<double>& w) {
  double total = 0;
  for (std::size_t i = 0; i < y.size(); ++i) total += y[i] * w[i];
  return total;
}

// The weighted sum as an op on a tape, for tests of ops: sum_i y_i * dy_i. backward() from this result gives
// y the gradient `dy`, with one float for each element of y. y is f32 or bf16.
inline Tensor dot(Tape& tape, const Tensor& y, const float* dy) {
  const Tensor loss = tape.output({}, {y});
  const bool is_bf16 = y.dtype() == DType::bf16;
  float total = 0;
  for (std::int64_t i = 0; i < y.numel(); ++i) {
    total += (is_bf16 ? to_float(y.data<bf16>()[i]) : y.f32()[i]) * dy[i];
  }
  *loss.f32() = total;
  tape.record("dot", {loss}, {y}, [=](Gradients& gradients) {
    const float seed = *gradients.of(loss);
    if (is_bf16) {
      const GradientTarget<bf16> into = gradients.target<bf16>(y);
      for (std::int64_t i = 0; i < y.numel(); ++i) {
        const float before = into.accumulate ? to_float(into.data[i]) : 0.0f;
        into.data[i] = inkling::to_bf16(before + seed * dy[i]);
      }
    } else {
      float* into = gradients.sum_into(y);
      for (std::int64_t i = 0; i < y.numel(); ++i) into[i] += seed * dy[i];
    }
  });
  return loss;
}

// An op that rounds x to bf16. Leaves are f32, so tests use this op to get a bf16 tensor with a gradient.
inline Tensor narrowed(Tape& tape, const Tensor& x) {
  const Tensor y = tape.output(x.shape(), {x}, DType::bf16);
  for (std::int64_t i = 0; i < x.numel(); ++i) y.data<bf16>()[i] = inkling::to_bf16(x.f32()[i]);
  tape.record("narrowed", {y}, {x}, [=](Gradients& gradients) {
    const bf16* dy = gradients.of<bf16>(y);
    float* dx = gradients.sum_into(x);
    for (std::int64_t i = 0; i < x.numel(); ++i) dx[i] += to_float(dy[i]);
  });
  return y;
}

}  // namespace inkling::test
