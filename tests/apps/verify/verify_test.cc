// One hash: every table of kernels gives each recipe its known hash (apps/verify/recipes.h).
//
// tests/goldens/hashes.json has the hashes of each recipe, one for each arithmetic. The hashes also prove
// that the trained weights do not change: if a commit only moves or renames code, no bit may change. If a
// commit changes the arithmetic on purpose, apps/verify/README.md says how to make the new hashes.
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/verify/known_hashes.h"
#include "tests/apps/command_line.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

json golden() {
  return json::parse(std::ifstream("tests/goldens/hashes.json"));
}

TEST_CASE("one hash: the program knows the hashes of tests/goldens/hashes.json, and no others") {
  CHECK((json::parse(known_hashes()) == golden()));
}

TEST_CASE("one hash: each recipe has a hash for each arithmetic") {
  const std::set<std::string> f32 = {"fused", "unfused"}, bf16 = {"fused", "unfused", "amx"};
  const json known = golden();
  CHECK(known.size() == recipes().size());
  for (const Recipe& recipe : recipes()) {
    INFO(recipe.name);
    std::set<std::string> names;
    for (const auto& [arithmetic, hash] : known.at(recipe.name).items()) names.insert(arithmetic);
    CHECK((names == (recipe.precision == Precision::f32 ? f32 : bf16)));
  }
}

void check_hashes(Isa isa) {
  const RestoreIsa restore;
  const std::vector<const Kernels*> all = tables();
  const auto table = std::find_if(all.begin(), all.end(), [&](const Kernels* t) { return t->isa == isa; });
  if (table == all.end()) skip(str("this CPU cannot run the kernels of ", name(isa)));
  use_table(**table);
  const json known = golden();
  for (const Recipe& recipe : recipes()) {
    INFO(recipe.name << " on " << name(isa));
    CHECK(run_recipe(recipe) ==
          known.at(recipe.name).at(arithmetic(isa, recipe.precision)).get<std::string>());
  }
}

TEST_CASE("one hash: scalar gives the known hash of every recipe") {
  check_hashes(Isa::scalar);
}
TEST_CASE("one hash: neon gives the known hash of every recipe") {
  check_hashes(Isa::neon);
}
TEST_CASE("one hash: sse2 gives the known hash of every recipe") {
  check_hashes(Isa::sse2);
}
TEST_CASE("one hash: avx2 gives the known hash of every recipe") {
  check_hashes(Isa::avx2);
}
TEST_CASE("one hash: avx512 gives the known hash of every recipe") {
  check_hashes(Isa::avx512);
}
TEST_CASE("one hash: avx512_bf16 gives the known hash of every recipe") {
  check_hashes(Isa::avx512_bf16);
}
TEST_CASE("one hash: amx, emulated or not, gives the known hash of every recipe") {
  check_hashes(Isa::amx);
}

TEST_CASE("one hash: the number of threads, and recomputing, do not change a hash") {
  const RestoreThreads restore;
  for (Recipe recipe : recipes()) {
    const std::string known = known_hash(recipe, arithmetic(kernels().isa, recipe.precision));
    INFO(recipe.name);
    recipe.recompute = !recipe.recompute;
    for (const int count : {1, 3}) {
      set_threads(count);
      CHECK(run_recipe(recipe) == known);
    }
  }
}

TEST_CASE("one hash: a hash covers the weights, and each other setting of a recipe changes it") {
  const Recipe recipe{.name = "tiny", .model = {16, 50, 1, 1, 8}, .B = 1, .T = 12, .steps = 3};
  std::set<std::string> hashes = {run_recipe(recipe)};
  Recipe other = recipe;
  other.steps = 4, hashes.insert(run_recipe(other)), other = recipe;
  other.micro_batches = 2, hashes.insert(run_recipe(other)), other = recipe;
  other.schedule = LearningRateDecay::linear, hashes.insert(run_recipe(other)), other = recipe;
  other.optimizer = SgdSettings{}, hashes.insert(run_recipe(other)), other = recipe;
  other.loss_mask = true, hashes.insert(run_recipe(other)), other = recipe;
  other.documents = true, hashes.insert(run_recipe(other)), other = recipe;
  other.precision = Precision::bf16, hashes.insert(run_recipe(other));
  CHECK(hashes.size() == 8);
  CHECK(known_hash(recipe, "fused") == "none");
}

TEST_CASE("verify: it prints every recipe's hash and succeeds if all are known") {
  const RestoreIsa restore;
  const std::string out = run_here({"verify", "--threads", "2"}).out;
  CHECK(out.starts_with(str(name(kernels().isa), ", 2 threads\n")));
  for (const Recipe& recipe : recipes()) {
    CHECK_THAT(out, contains(recipe.name));
    CHECK_THAT(out, contains(known_hash(recipe, arithmetic(kernels().isa, recipe.precision)) + "  known"));
  }
  CHECK_THAT(out, contains(str("All ", recipes().size(), " hashes are the known ones.")));
}

TEST_CASE("verify --json: it prints the hashes as tests/goldens/hashes.json has them") {
  const RestoreIsa restore;
  const json printed = json::parse(run_here({"verify", "--json"}).out), known = golden();
  CHECK(printed.size() == recipes().size());
  for (const auto& [recipe, hashes] : printed.items()) {
    for (const auto& [arithmetic, hash] : hashes.items()) CHECK((known.at(recipe).at(arithmetic) == hash));
  }
}

TEST_CASE("verify: a table whose last bits differ fails, and the recipe is named") {
  const RestoreIsa restore;
  static const Kernels& right = kernels();
  Kernels wrong = right;
  wrong.sgd_update = [](float* p, float* b, const float* g, std::int64_t n, const SgdFactors& f) noexcept {
    right.sgd_update(p, b, g, n, f);
    p[0] = std::nextafter(p[0], 1.0f);
  };
  use_table(wrong);
  CLI::App app;
  Action action;
  add_verify(app, action);
  parse(app, {"verify"});
  const Captured out(std::cout);
  CHECK_THROWS_WITH(action(), str("verify: 1 of ", recipes().size(), " hashes are not the known ones"));
  CHECK_THAT(out.text(), contains("NOT the known hash"));
  CHECK_THAT(out.text().substr(out.text().find("  sgd ")), contains("NOT the known hash"));
}

}  // namespace
}  // namespace inkling
