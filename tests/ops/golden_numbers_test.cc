// The reference kernels against numbers from tests/goldens/reference_numbers.py, which uses PyTorch or the
// textbook formula. gradcheck shows only that a gradient fits its own forward pass. These numbers show that
// both are right.
#include <fstream>
#include <nlohmann/json.hpp>

#include "ops/cross_entropy.h"
#include "ops/gelu.h"
#include "ops/layernorm.h"
#include "ops/softmax.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;
using Doubles = std::vector<double>;

// All numbers are doubles, and sums have at most 17 terms.
constexpr Tolerance kDouble{1e-14, 1e-12};
// layernorm's eps is a float, which differs from 1e-5 by 3 parts in 1e8. One row has numbers near 1000 with a
// spread of only 0.6, so x - mean loses digits.
constexpr Tolerance kLayerNorm{1e-10, 3e-8};

json goldens(const char* what) {
  return json::parse(std::ifstream("tests/goldens/numbers.json"))[what];
}

void check(const char* what, const Doubles& got, const Doubles& want, Tolerance tolerance) {
  check_close<double, double>(what, got, want, tolerance);
}

TEST_CASE("goldens: gelu's values and derivatives agree with its formula, computed in Python") {
  const json golden = goldens("gelu");
  const Doubles x = golden["x"], ones(x.size(), 1.0);
  Doubles y(x.size()), dx(x.size());
  reference::gelu_forward(y.data(), x.data(), std::ssize(x));
  reference::gelu_backward(dx.data(), ones.data(), x.data(), std::ssize(x));
  check("y", y, golden["y"], kDouble);
  check("dx", dx, golden["dy"], kDouble);
}

TEST_CASE("goldens: softmax agrees with its formula, computed in Python") {
  for (const json& golden : goldens("softmax")) {
    const Doubles x = golden["logits"];
    Doubles y(x.size());
    reference::softmax_forward(y.data(), x.data(), 1, std::ssize(x));
    check("y", y, golden["probs"], kDouble);
  }
}

TEST_CASE("goldens: cross entropy's losses and the gradient of their mean are PyTorch's; -1 is ignored") {
  for (const json& golden : goldens("cross_entropy")) {
    const Doubles logits = golden["logits"];
    const std::vector<std::int32_t> targets = golden["targets"];
    const std::int64_t rows = std::ssize(targets), V = golden["V"];
    const auto counted = static_cast<double>(rows - std::count(targets.begin(), targets.end(), -1));
    Doubles losses(targets.size()), dlogits(logits.size());
    reference::cross_entropy_forward(losses.data(), logits.data(), targets.data(), rows, V, V);
    reference::cross_entropy_backward(dlogits.data(), logits.data(), targets.data(), 1 / counted, rows, V, V);
    check("losses", losses, golden["losses"], kDouble);
    check("dlogits", dlogits, golden["dlogits"], kDouble);
  }
}

TEST_CASE("goldens: layernorm's values, statistics and gradients are PyTorch's, also for a constant row") {
  for (const json& golden : goldens("layernorm")) {
    const std::int64_t N = golden["N"], C = golden["C"];
    const Doubles x = golden["x"], weight = golden["weight"], bias = golden["bias"], dy = golden["dout"];
    Doubles y(x.size()), mean(static_cast<std::size_t>(N)), rstd(mean.size());
    Doubles dx(x.size()), dweight(weight.size()), dbias(bias.size());
    reference::layernorm_forward<double>(
        {y.data(), mean.data(), rstd.data(), x.data(), weight.data(), bias.data(), N, C});
    reference::layernorm_backward<double>({dx.data(), dweight.data(), dbias.data(), dy.data(), x.data(),
                                           weight.data(), mean.data(), rstd.data(), N, C, false});
    check("y", y, golden["out"], kLayerNorm);
    check("mean", mean, golden["mean"], kLayerNorm);
    check("rstd", rstd, golden["rstd"], kLayerNorm);
    check("dx", dx, golden["dx"], kLayerNorm);
    check("dweight", dweight, golden["dweight"], kLayerNorm);
    check("dbias", dbias, golden["dbias"], kLayerNorm);
  }
}

}  // namespace
}  // namespace inkling
