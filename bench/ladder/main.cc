// inkling_ladder: measures the rungs of the ladder (ladder.h), after it has checked each against the
// reference.
//
//   inkling_ladder [M N K]      by default 256 3072 768: the widest layer of GPT-2 124M, for 256 tokens
//
// The speed of a shared machine changes within seconds. So each round measures the machine's peak and then
// all rungs; a figure is the median over the rounds. The peak is the speed of all cores, also for the rungs
// that use one core.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <iomanip>
#include <iostream>

#include "apps/page/terminal_style.h"
#include "apps/run/format.h"
#include "bench/data.h"
#include "bench/harness.h"
#include "bench/ladder/ladder.h"
#include "core/cpu.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/gemm/gemm.h"
#include "ops/kernels.h"
#include "ops/roof/arithmetic_roof.h"

namespace {

using namespace inkling;
using namespace inkling::ladder;

constexpr int kRounds = 5;
constexpr double kTimedSeconds = 0.1;

std::string words_of(const Size& size) {
  return str("(", size.M, ",", size.K, ") x (", size.K, ",", size.N, ")");
}

// Error unless the rung computes the product of random matrices: each number within rounding of the reference
// in double. A sum of K products of numbers below 0.1 has the size 0.01 sqrt(K / 9); f32 has 24 bits, bf16
// has 8.
void check(const Rung& rung, const Size& size) {
  const bench::Floats A(size.M * size.K, 1), B(size.K * size.N, 2), C(size.M * size.N, 3);
  const std::vector<double> a(A.data(), A.data() + size.M * size.K), b(B.data(), B.data() + size.K * size.N);
  std::vector<double> want(static_cast<std::size_t>(size.M * size.N));
  reference::gemm<double>(want.data(), a.data(), b.data(), size.M, size.N, size.K, nullptr, false);
  rung.run(C.data(), A.data(), B.data(), size);
  const double typical = 0.01 * std::sqrt(static_cast<double>(size.K) / 9);
  const double allowed = typical * (rung.is_bf16 ? 0.05 : 1e-5 * std::sqrt(static_cast<double>(size.K)));
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double got = static_cast<double>(C.data()[i]);
    if (std::abs(got - want[i]) <= allowed) continue;  // false for NaN, too
    fail("rung ", rung.name, " of ", words_of(size), ": C[", i, "] is ", got, ", expected ", want[i]);
  }
}

// Seconds of a call. A call that takes long is its own warm-up.
double seconds_of(const Rung& rung, float* C, const float* A, const float* B, const Size& size) {
  const auto time_of = [&](int calls) {
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; ++i) rung.run(C, A, B, size);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / calls;
  };
  const double first = time_of(1);
  return first > kTimedSeconds ? first : time_of(1 + static_cast<int>(kTimedSeconds / first));
}

struct Measured {
  std::vector<double> gflops, shares;
};

std::vector<Measured> measure(const std::vector<Rung>& all, const Size& size) {
  const bench::Floats A(size.M * size.K, 1), B(size.K * size.N, 2), C(size.M * size.N, 3);
  const double flops = 2.0 * static_cast<double>(size.M * size.N) * static_cast<double>(size.K);
  std::vector<Measured> figures(all.size());
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t r = 0; r < all.size(); ++r) {
      const Roof roof = arithmetic_roof();
      const double peak = all[r].is_bf16 && roof.bf16_gflops > 0 ? roof.bf16_gflops : roof.fma_gflops;
      const double gflops = flops / seconds_of(all[r], C.data(), A.data(), B.data(), size) * 1e-9;
      figures[r].gflops.push_back(gflops);
      figures[r].shares.push_back(gflops / peak);
    }
    std::cerr << "round " << round + 1 << " of " << kRounds << std::endl;
  }
  return figures;
}

// A bar for each rung, as long as the logarithm of its speed: equal steps are equal factors.
void print(const std::vector<Rung>& all, const std::vector<Measured>& figures) {
  const page::TextStyle style(terminal(STDOUT_FILENO));
  std::vector<page::BarText> bars;
  const double least = bench::median(figures[0].gflops) / 2;
  double before = 0;
  for (std::size_t r = 0; r < all.size(); ++r) {
    const double gflops = bench::median(figures[r].gflops);
    std::string text = str(format_fixed(gflops, gflops < 100 ? 1 : 0), " GFLOP/s, ",
                           format_fixed(100 * bench::median(figures[r].shares), 1), "%");
    if (r > 0) text += str(", x", format_fixed(gflops / before, 1));
    bars.push_back({str(r + 1, " ", all[r].name), text, std::log2(gflops / least), page::Look::main});
    before = gflops;
  }
  std::cout << page::bar_chart_text(bars, 0, style) << "\n";
  for (std::size_t r = 0; r < all.size(); ++r)
    std::cout << "  " << r + 1 << " " << all[r].name << ": " << all[r].idea << "\n";
  std::cout << "\nThe bars are logarithmic. %: of the peak of all cores, for bf16 of the peak of bf16 "
               "products, measured before each rung. x: times the speed of the rung before.\n";
}

Size parse(int argc, char** argv) {
  if (argc == 1) return {256, 3072, 768};
  if (argc != 4) throw UsageError(str("got ", argc - 1, " arguments, expected M N K or none"));
  std::int64_t sizes[3];
  for (int i = 0; i < 3; ++i) {
    const std::string text = argv[i + 1];
    const bool is_number =
        !text.empty() && text.size() < 6 && text.find_first_not_of("0123456789") == text.npos;
    sizes[i] = is_number ? std::stoll(text) : 0;
    if (sizes[i] < 1) throw UsageError(str("a size is ", text, ", expected a number from 1 to 99999"));
  }
  return {sizes[0], sizes[1], sizes[2]};
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Size size = parse(argc, argv);
    const std::vector<Rung> all = rungs();
    for (const Rung& rung : all) {
      for (const Size& odd : {Size{1, 1, 1}, Size{5, 3, 7}, Size{7, 33, 65}, Size{50, 70, 129}, size})
        check(rung, odd);
    }
    std::cout << cpu().model << ", " << threads() << " threads, " << name(kernels().isa) << "; C = A B, "
              << words_of(size) << ", each rung checked against the reference\n\n";
    print(all, measure(all, size));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "inkling_ladder: " << error.what() << std::endl;
    return dynamic_cast<const UsageError*>(&error) != nullptr ? 2 : 1;
  }
}
