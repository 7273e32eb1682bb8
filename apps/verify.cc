// inkling verify: trains the built-in recipes and compares the hash of each result with the known hash.
#include <iomanip>
#include <iostream>
#include <nlohmann/json.hpp>

#include "apps/commands.h"
#include "apps/number_flag.h"
#include "apps/verify/known_hashes.h"
#include "apps/verify/recipes.h"
#include "core/error.h"
#include "core/parallel.h"
#include "ops/kernels.h"

namespace inkling {

namespace {

using json = nlohmann::ordered_json;

struct VerifyCommand {
  bool all = false, as_json = false;
  int threads = hardware_threads();
};

// Runs all recipes on kernels(). Prints each hash, or adds it to `hashes` if this is not null.
// Returns the number of hashes that are not the known ones.
std::int64_t verify(json* hashes) {
  const Isa isa = kernels().isa;
  if (hashes == nullptr) std::cout << name(isa) << ", " << threads() << " threads\n";
  std::int64_t unknown = 0;
  for (const Recipe& recipe : recipes()) {
    const std::string hash = run_recipe(recipe), family = arithmetic(isa, recipe.precision);
    const std::string known = known_hash(recipe, family);
    if (hash != known) ++unknown;
    if (hashes != nullptr) {
      (*hashes)[recipe.name][family] = hash;
      continue;
    }
    std::cout << "  " << std::left << std::setw(20) << recipe.name << hash
              << (hash == known ? "  known" : "  NOT the known hash, expected " + known) << std::endl;
  }
  return unknown;
}

int run(const VerifyCommand& command) {
  set_threads(command.threads);
  std::vector<const Kernels*> tables = {&kernels()};
  if (command.all) {
    tables.clear();
    for (const Isa isa : available_isas()) tables.push_back(&kernels(isa));
  }
  json hashes = json::object();
  std::int64_t unknown = 0;
  for (const Kernels* table : tables) {
    use_table(*table);
    unknown += verify(command.as_json ? &hashes : nullptr);
  }
  const std::int64_t count = std::ssize(recipes()) * std::ssize(tables);
  if (command.as_json) std::cout << hashes.dump(2) << "\n";
  if (unknown > 0) fail("verify: ", unknown, " of ", count, " hashes are not the known ones");
  if (!command.as_json) std::cout << "All " << count << " hashes are the known ones.\n";
  return 0;
}

}  // namespace

void add_verify(CLI::App& app, Action& action) {
  CLI::App* verify = app.add_subcommand(
      "verify",
      "Train small built-in recipes, and check that the results have the same bits as on other CPUs");
  auto command = std::make_shared<VerifyCommand>();
  verify->add_flag("--all", command->all, "check every instruction set of this CPU, not only the best one");
  number_flag(verify->add_option("--threads", command->threads,
                                 "number of threads; the result does not depend on it"),
              1, kMostThreads)
      ->capture_default_str();
  verify->add_flag("--json", command->as_json, "print the hashes as JSON");
  verify->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
