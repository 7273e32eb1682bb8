// The emulation of the AMX instructions (tests/amx_emulation.cc), compared with sums computed by hand, with a
// scalar model of Intel's manual, and with a CPU that has AMX.
#include <immintrin.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <bit>
#include <csignal>
#include <limits>
#include <thread>

#include "core/cpu.h"
#include "ops/simd/amx_emulation.h"
#include "ops/simd/amx_simd.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr std::int64_t kRowBytes = 64;

void require_emulation() {
  if (!cpu().avx512) skip("the emulation of AMX needs AVX-512");
}

// The three tiles of a product, stored in memory: C (16 x 16 floats) += A (16 x 16 pairs) B (16 pairs x 16).
// All numbers are zero at first.
struct Product {
  std::array<float, 256> c{};
  std::array<bf16, 512> a{}, b{};

  // The number at row m and step k of A, and the number at step k and column n of B.
  bf16& a_at(std::int64_t m, std::int64_t k) { return a[static_cast<std::size_t>(m * 32 + k)]; }
  bf16& b_at(std::int64_t k, std::int64_t n) {
    return b[static_cast<std::size_t>(k / 2 * 32 + n * 2 + k % 2)];
  }
  float& c_at(std::int64_t m, std::int64_t n) { return c[static_cast<std::size_t>(m * 16 + n)]; }
};

void emulate(Product& p, const simd::TilePalette& shapes = simd::kWholeTiles) {
  emulated_amx::ldtilecfg(shapes);
  emulated_amx::tileloadd(0, p.c.data(), kRowBytes);
  emulated_amx::tileloadd(1, p.a.data(), kRowBytes);
  emulated_amx::tileloadd(2, p.b.data(), kRowBytes);
  emulated_amx::tdpbf16ps(0, 1, 2);
  emulated_amx::tilestored(0, p.c.data(), kRowBytes);
  emulated_amx::tilerelease();
}

void run_on_hardware(Product& p, const simd::TilePalette& shapes) {
  simd::instruction::ldtilecfg(shapes);
  simd::tile_load<0>(p.c.data(), 16);
  simd::tile_load<1>(p.a.data(), 32);
  simd::tile_load<2>(p.b.data(), 32);
  simd::tile_multiply<0, 1, 2>();
  simd::tile_store<0>(p.c.data(), 16);
  simd::instruction::tilerelease();
}

// Tile shapes for a product of M rows, N columns and K pairs. C is tile 0, A is tile 1, B is tile 2. The
// other tiles keep their full size.
simd::TilePalette shapes_of(std::uint8_t M, std::uint8_t N, std::uint8_t K) {
  simd::TilePalette shapes;
  const auto bytes = [](std::uint8_t count) { return static_cast<std::uint16_t>(4 * count); };
  shapes.rows[0] = M, shapes.row_bytes[0] = bytes(N);
  shapes.rows[1] = M, shapes.row_bytes[1] = bytes(K);
  shapes.rows[2] = K, shapes.row_bytes[2] = bytes(N);
  return shapes;
}

float flushed(float x) {
  return std::fpclassify(x) == FP_SUBNORMAL ? std::copysign(0.0f, x) : x;
}

// a * b + c as AMX computes it: denormal inputs and results count as 0. A result is denormal if it is below
// the smallest normal number after rounding with an unlimited exponent. A sum may round up to the smallest
// normal number only because denormals have fewer bits. Such a sum counts as a denormal, too.
float fused(float a, float b, float c) {
  constexpr float kSmallest = std::numeric_limits<float>::min();
  a = flushed(a), b = flushed(b), c = flushed(c);
  const float sum = std::fma(a, b, c);
  const double exact = static_cast<double>(a) * static_cast<double>(b) + static_cast<double>(c);
  const bool below = std::abs(exact) < static_cast<double>(kSmallest) * (1 - 0x1p-25);
  return std::abs(sum) == kSmallest && below ? std::copysign(0.0f, sum) : flushed(sum);
}
float added(float a, float b) {
  return flushed(flushed(a) + flushed(b));
}

// Intel SDM, TDPBF16PS: even products and odd products are summed separately. The two sums are added to each
// other, and then to the tile.
void compute_by_the_manual(Product& p) {
  for (std::int64_t m = 0; m < 16; ++m) {
    for (std::int64_t n = 0; n < 16; ++n) {
      float even = 0, odd = 0;
      for (std::int64_t k = 0; k < 32; k += 2) {
        even = fused(to_float(p.a_at(m, k)), to_float(p.b_at(k, n)), even);
        odd = fused(to_float(p.a_at(m, k + 1)), to_float(p.b_at(k + 1, n)), odd);
      }
      p.c_at(m, n) = added(p.c_at(m, n), added(even, odd));
    }
  }
}

// Compares bit by bit, but all NaNs count as equal: the manual does not say which of several NaNs is kept.
void check_same(const Product& got, const Product& want) {
  for (std::size_t i = 0; i < got.c.size(); ++i) {
    if (std::isnan(got.c[i]) && std::isnan(want.c[i])) continue;
    INFO("C[" << i << "] is " << got.c[i] << ", expected " << want.c[i]);
    REQUIRE(std::bit_cast<std::uint32_t>(got.c[i]) == std::bit_cast<std::uint32_t>(want.c[i]));
  }
}

// Kinds of numbers that test the limits of the arithmetic. A product uses numbers of one kind.
enum class Kind { normal, wide, near_denormal, special, ties };
constexpr Kind kKinds[] = {Kind::normal, Kind::wide, Kind::near_denormal, Kind::special, Kind::ties};

float number(Rng& rng, Kind kind) {
  const float sign = rng.below(2) == 0 ? 1.0f : -1.0f;
  const auto power = [&](int least, std::uint64_t count) {
    return std::ldexp(sign * (1 + static_cast<float>(rng.below(128)) / 128),
                      least + static_cast<int>(rng.below(count)));
  };
  switch (kind) {
    case Kind::normal:
      return static_cast<float>(rng.normal());
    case Kind::wide:
      return power(-126, 254);
    case Kind::near_denormal:  // a product is near 2^-126
      return power(-66, 6);
    case Kind::special: {
      constexpr float kInf = std::numeric_limits<float>::infinity();
      const float numbers[] = {0.0f, 1e-39f, kInf, std::numeric_limits<float>::quiet_NaN(), 0x1p-126f};
      return rng.below(8) == 0 ? sign * numbers[rng.below(5)] : power(-2, 4);
    }
    case Kind::ties:  // sums that lie between two floats
      return std::ldexp(sign * static_cast<float>(1 + rng.below(3)), 8 * static_cast<int>(rng.below(3)));
  }
  return 0;
}

Product random_product(Kind kind, std::uint64_t seed) {
  Rng rng(seed, static_cast<std::uint64_t>(kind));
  Product p;
  for (bf16& x : p.a) x = inkling::to_bf16(number(rng, kind));
  for (bf16& x : p.b) x = inkling::to_bf16(number(rng, kind));
  for (float& x : p.c) x = kind == Kind::near_denormal ? number(rng, kind) * 0x1p-63f : number(rng, kind);
  return p;
}

TEST_CASE("emulated amx: even and odd products have separate sums, which are added before the tile is") {
  require_emulation();
  Product p;
  for (std::int64_t k = 0; k < 32; ++k) p.b_at(k, 3) = inkling::to_bf16(1.0f);
  // Even products: 2^24 + 1 + 1 gives 2^24, because each addition is rounded. Odd products: 1 + 1 = 2. The
  // tile holds -2^24.
  p.a_at(5, 0) = inkling::to_bf16(0x1p24f);
  for (std::int64_t k : {1, 2, 3, 4}) p.a_at(5, k) = inkling::to_bf16(1.0f);
  p.c_at(5, 3) = -0x1p24f;
  p.c_at(5, 4) = 7;
  emulate(p);
  CHECK(p.c_at(5, 3) == 2.0f);
  CHECK(p.c_at(5, 4) == 7.0f);
  CHECK(p.c_at(4, 3) == 0.0f);
}

TEST_CASE(
    "emulated amx: denormals count as zero and rounding is to nearest, whatever flags the thread has set") {
  require_emulation();
  const unsigned before = _mm_getcsr();
  for (const unsigned flags : {before, before | 0x6000u}) {  // unchanged, and rounding towards zero
    Product p;
    p.a_at(0, 0) = inkling::to_bf16(1e-39f), p.b_at(0, 0) = inkling::to_bf16(0x1p100f);  // a denormal factor
    p.a_at(1, 0) = inkling::to_bf16(0x1p-70f),
              p.b_at(0, 1) = inkling::to_bf16(0x1p-60f);  // a denormal product
    p.c_at(2, 2) = 1e-39f;                                // a denormal in the tile
    p.a_at(3, 0) = p.a_at(3, 1) = p.b_at(0, 3) = inkling::to_bf16(1.0f);
    p.b_at(1, 3) = inkling::to_bf16(0x1p-24f + 0x1p-30f);  // 1 + this is nearer to the next float
    _mm_setcsr(flags);
    emulate(p);
    const unsigned after = _mm_getcsr();
    _mm_setcsr(before);
    CHECK(after == flags);
    for (std::int64_t i = 0; i < 3; ++i) CHECK(p.c_at(i, i) == 0.0f);
    CHECK(p.c_at(3, 3) == 1.0f + 0x1p-23f);
  }
}

TEST_CASE("emulated amx: a product has the same bits as the manual's formula, for every kind of number") {
  require_emulation();
  for (const Kind kind : kKinds) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      INFO("kind " << static_cast<int>(kind) << ", seed " << seed);
      Product got = random_product(kind, seed), want = got;
      emulate(got);
      compute_by_the_manual(want);
      check_same(got, want);
    }
  }
}

TEST_CASE("emulated amx: loads, products and stores use only the rows and columns of the configured shapes") {
  require_emulation();
  const Product whole = random_product(Kind::normal, 1);
  // 3 rows, 5 columns, 2 pairs. Numbers outside this shape are neither read nor written.
  Product got = whole, want = whole;
  for (std::int64_t m = 0; m < 16; ++m) {
    for (std::int64_t k = 0; k < 32; ++k) {
      if (m >= 3 || k >= 4) got.a_at(m, k) = inkling::to_bf16(NAN), want.a_at(m, k) = bf16{};
    }
  }
  emulate(got, shapes_of(3, 5, 2));
  compute_by_the_manual(want);
  for (std::int64_t m = 0; m < 16; ++m) {
    for (std::int64_t n = 0; n < 16; ++n) {
      INFO("row " << m << ", column " << n);
      const auto at = static_cast<std::size_t>(m * 16 + n);
      CHECK(got.c[at] == (m < 3 && n < 5 ? want.c[at] : whole.c[at]));
    }
  }
}

TEST_CASE("emulated amx: rows in memory are a stride apart; tilezero and a new configuration clear a tile") {
  require_emulation();
  const std::vector<float> from = random_floats(16 * 21, 1);
  std::vector<float> to(16 * 19, -1.0f);
  emulated_amx::ldtilecfg(simd::kWholeTiles);
  emulated_amx::tileloadd(7, from.data(), 21 * 4);
  emulated_amx::tilestored(7, to.data(), 19 * 4);
  for (std::size_t i = 0; i < to.size(); ++i) CHECK(to[i] == (i % 19 < 16 ? from[i / 19 * 21 + i % 19] : -1));
  for (const bool by_zeroing : {true, false}) {
    emulated_amx::tileloadd(7, from.data(), 21 * 4);
    by_zeroing ? emulated_amx::tilezero(7) : emulated_amx::ldtilecfg(simd::kWholeTiles);
    emulated_amx::tilestored(7, to.data(), 19 * 4);
    for (std::size_t i = 0; i < to.size(); ++i) CHECK(to[i] == (i % 19 < 16 ? 0 : -1));
  }
  emulated_amx::tilerelease();
}

// Runs `body` in a child process and returns whether it aborts.
bool aborts(void (*body)()) {
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    const rlimit no_core{0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    std::signal(SIGABRT, SIG_DFL);  // Catch2 installs a handler
    close(STDERR_FILENO);
    body();
    _exit(0);
  }
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST_CASE("emulated amx: an instruction that is illegal on a CPU with AMX aborts the program") {
  require_emulation();
  CHECK_FALSE(aborts([] {
    emulated_amx::ldtilecfg(simd::kWholeTiles);
    emulated_amx::tilezero(0);
    emulated_amx::tdpbf16ps(0, 1, 2);
    emulated_amx::tilerelease();
  }));
  CHECK(aborts([] { emulated_amx::tilezero(0); }));
  CHECK(aborts([] {
    emulated_amx::ldtilecfg(simd::kWholeTiles);
    emulated_amx::tilerelease();
    emulated_amx::tdpbf16ps(0, 1, 2);
  }));
  std::thread([] {
    emulated_amx::ldtilecfg(simd::kWholeTiles);
  }).join();  // each thread has its own configuration
  CHECK(aborts([] { emulated_amx::tilezero(0); }));
  CHECK(aborts([] {
    emulated_amx::ldtilecfg(simd::kWholeTiles);
    emulated_amx::tdpbf16ps(0, 1, 1);
  }));
  CHECK(aborts([] {
    simd::TilePalette shapes = shapes_of(16, 16, 16);
    shapes.rows[2] = 15;
    emulated_amx::ldtilecfg(shapes);
    emulated_amx::tdpbf16ps(0, 1, 2);
  }));
  CHECK(aborts([] {
    simd::TilePalette shapes;
    shapes.rows[3] = 17;
    emulated_amx::ldtilecfg(shapes);
  }));
}

TEST_CASE("emulated amx: a CPU that has AMX computes the same bits") {
  if (!cpu().amx_bf16) skip("this CPU has no AMX");
  for (const simd::TilePalette& shapes : {simd::kWholeTiles, shapes_of(3, 5, 2), shapes_of(16, 1, 16)}) {
    for (const Kind kind : kKinds) {
      for (std::uint64_t seed = 1; seed <= 50; ++seed) {
        INFO("kind " << static_cast<int>(kind) << ", seed " << seed);
        Product emulated = random_product(kind, seed), real = emulated;
        emulate(emulated, shapes);
        run_on_hardware(real, shapes);
        check_same(emulated, real);
      }
    }
  }
}

TEST_CASE("emulated amx: tests that run on every instruction set also run the kernels on emulated tiles") {
  if (!cpu().avx512_bf16) skip("the kernels on emulated tiles need AVX512-BF16");
  CHECK(tables().back()->isa == Isa::amx);
  CHECK((&kernels(Isa::amx) == tables().back()) == cpu().amx_bf16);
}

}  // namespace
}  // namespace inkling
