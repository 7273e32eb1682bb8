// The forecast of a run on several ranks, compared with the messages of a real step, and inkling info
// --ranks.
#include "apps/ranks/forecast.h"

#include <nlohmann/json.hpp>

#include "apps/ranks/replicated_step.h"
#include "core/error.h"
#include "optim/adamw.h"
#include "tests/apps/command_line.h"
#include "tests/core/ranks/thread_ranks.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

PreflightRequest small_run() {
  return {.model = {.max_seq_len = 16, .vocab_size = 2000, .layers = 2, .heads = 2, .channels = 64},
          .batch_size = 6,
          .seq_len = 16};
}

TEST_CASE(
    "forecast: a step sends the predicted bytes, and each rank has its share of the optimiser's state") {
  const PreflightRequest request = small_run();
  for (const int ranks : {1, 2, 3}) {
    const std::int64_t sent = on_ranks(ranks, [&](Ranks& r) {
      GPT2 model(request.model);
      model.initialise(1);
      Replicas replicas(r, ranks, model);
      AdamW optimizer(replicas.segments(), {});
      Tape tape;
      std::vector<std::int32_t> ids(static_cast<std::size_t>(6 / ranks * 16), 7);
      const Tensor tokens(ids.data(), {6 / ranks, 16});
      replicas.step(optimizer, tape, std::vector{MicroBatch{tokens, tokens}}, {.step = 1, .lr = 1e-3f});
    });
    const RanksForecast predicted = forecast(request, ranks, {});
    INFO("ranks " << ranks);
    // A share is whole chunks, so the largest share of this small model is up to a quarter larger than the
    // mean. A real step also sends a few numbers.
    const double all = predicted.sent_bytes * ranks;
    CHECK(static_cast<double>(sent) <= 1.01 * all);
    CHECK(static_cast<double>(sent) >= 0.8 * all);
    std::int64_t state = 0;
    for (const Preflight::Part& part : predicted.of_rank.memory) {
      if (part.name == std::string("optimiser state (AdamW)")) state = part.bytes;
    }
    const double whole = 8.0 * static_cast<double>(request.model.parameter_count());
    CHECK(static_cast<double>(state) >= 0.99 * whole / ranks);
    CHECK(static_cast<double>(state) <= 1.25 * whole / ranks);
  }
}

TEST_CASE("forecast: the messages' time is the bytes by the bandwidth, or half a latency for each bucket") {
  const PreflightRequest request = small_run();
  const double bytes = forecast(request, 2, {}).sent_bytes;
  CHECK(forecast(request, 2, {1e6, 0}).network_seconds == approx(bytes / 1e6).epsilon(0.15));
  const double latency = 1;
  const double buckets = bytes / 2 / 4 / static_cast<double>(Bucket::kFloats);
  CHECK(forecast(request, 2, {1e15, latency}).network_seconds ==
        approx(2 * buckets * latency / 2 + 4).epsilon(0.15));
  CHECK(forecast(request, 1, {}).network_seconds == 0);
  CHECK_THROWS_WITH(forecast(request, 4, {}),
                    contains("--batch-size is 6, expected a multiple of the 4 ranks"));
}

TEST_CASE(
    "forecast: while backward runs, the gradients of the layers travel, those of the embeddings do not") {
  PreflightRequest request = small_run();
  request.model.channels = 256;  // a layer has many buckets
  const double all = static_cast<double>(request.model.parameter_count()), embeddings = (2000 + 16) * 256;
  const RanksForecast needed = forecast(request, 2, {1e6, 0});
  // Gradients are half of the bytes.
  CHECK(needed.during_backward_seconds ==
        approx((1 - embeddings / all) * needed.network_seconds / 2).epsilon(0.1));
  const double some = needed.during_backward_seconds / 2;
  CHECK(waiting_seconds(needed, 0) == needed.network_seconds);
  CHECK(waiting_seconds(needed, some) == needed.network_seconds - some);
  request.grad_accum = 4;
  CHECK(waiting_seconds(forecast(request, 2, {1e6, 0}), 4 * some) == needed.network_seconds - some);
  CHECK(waiting_seconds(needed, 1e9) == needed.network_seconds - needed.during_backward_seconds);
  CHECK(forecast(request, 2, {}, {.local_steps = 5}).during_backward_seconds == 0);
}

TEST_CASE("info: --ranks, --bandwidth and --latency forecast a run on several machines") {
  const Words words = {"info",    "--json", "--layers",     "2",   "--channels",   "64",
                       "--heads", "2",      "--vocab-size", "500", "--batch-size", "4"};
  const json one = json::parse(run_here(words).out);
  CHECK_FALSE(one.at("preflight").contains("ranks"));
  const json two =
      json::parse(run_here(words + Words{"--ranks", "2", "--bandwidth", "0.001", "--latency", "100"}).out);
  const json& ranks = two.at("preflight").at("ranks");
  CHECK(ranks.at("ranks") == 2);
  CHECK(ranks.at("bandwidth_gbs") == 0.001);
  CHECK(ranks.at("latency_us") == 100);
  CHECK(ranks.at("network_seconds").get<double>() >= ranks.at("sent_bytes").get<double>() / 1e6);
  CHECK(ranks.at("total_bytes") < two.at("preflight").at("total_bytes"));
  const Words text = {"info", "--layers", "2", "--heads", "2", "--channels", "64", "--ranks", "2"};
  CHECK_THAT(run_here(text).out,
             contains("On 2 machines like this one, with 0.125 GB/s and 50 us between them"));
  CHECK_THROWS_WITH(run_here(words + Words{"--latency", "3"}), contains("--latency needs --ranks"));
  for (const auto& [flag, value, why] :
       {std::tuple{"--bandwidth", "1", "--bandwidth needs --ranks"},
        {"--local-steps", "50", "--local-steps needs --ranks or --scaling"},
        {"--step-ms", "9", "--step-ms needs --scaling"},
        {"--local-steps-dtype", "bf16", "--local-steps-dtype needs --local-steps"}})
    CHECK_THROWS_WITH(run_here(words + Words{flag, value}), contains(why));
  CHECK_THROWS_WITH(
      run_here(words + Words{"--ranks", "2", "--local-steps", "5", "--local-steps-dtype", "f16"}),
      contains("--local-steps-dtype is f16, expected f32 or bf16"));
}

TEST_CASE("info: with --local-steps H, a rank sends 1/H of the bytes and has the whole optimiser's state") {
  const Words words = {"info",    "--json", "--layers",     "2",   "--channels",   "64", "--ranks", "2",
                       "--heads", "2",      "--vocab-size", "500", "--batch-size", "4"};
  const auto ranks = [&](const Words& more) {
    return json::parse(run_here(words + more).out).at("preflight").at("ranks");
  };
  const json together = ranks({}), local = ranks({"--local-steps", "50"}),
             bf16 = ranks({"--local-steps", "50", "--local-steps-dtype", "bf16"});
  CHECK(local.at("local_steps") == 50);
  CHECK(local.at("sent_bytes").get<double>() == approx(together.at("sent_bytes").get<double>() / 50));
  CHECK(bf16.at("sent_bytes").get<double>() == approx(together.at("sent_bytes").get<double>() / 100));
  CHECK(local.at("total_bytes") > together.at("total_bytes"));
  CHECK(local.at("network_seconds").get<double>() < 0.05 * together.at("network_seconds").get<double>());
}

TEST_CASE("info: --scaling compares local steps with steps together on 2 to 64 machines") {
  const Words words = {"info",         "--json", "--layers",     "2", "--channels", "64", "--heads", "2",
                       "--vocab-size", "500",    "--batch-size", "4", "--scaling"};
  const auto scaling = [&](const Words& more) {
    return json::parse(run_here(words + more).out).at("preflight").at("scaling");
  };
  const json table = scaling({"--step-ms", "20"});
  CHECK(table.at("step_seconds").get<double>() == approx(0.02));
  CHECK(table.at("local_steps") == 50);
  CHECK(table.at("rows").size() == 6);
  for (const json& row : table.at("rows")) {
    const double machines = row.at("machines");
    INFO("machines " << machines);
    double before = 0;
    for (const json& speed : row.at("as_fast_as_machines")) {
      CHECK(speed.at("together") > before);  // a faster network is faster
      before = speed.at("together");
      // A little more than one for each machine is possible: a machine updates only its share of the weights.
      CHECK(speed.at("together") <= 1.5 * machines);
      CHECK(speed.at("local_steps") <= machines);
    }
    const double slow = row.at("as_fast_as_machines").front().at("gbits");
    if (!row.at("crossover_gbits").is_null() && row.at("crossover_gbits") > slow) {
      CHECK(row.at("as_fast_as_machines").front().at("local_steps") >
            row.at("as_fast_as_machines").front().at("together"));
    }
  }
  // If computing takes long, the messages do not matter.
  const json slow = scaling({"--step-ms", "100000"}).at("rows").back().at("as_fast_as_machines").front();
  CHECK(slow.at("together") > 0.95 * 64);
  CHECK(slow.at("local_steps").get<double>() == approx(64.0).epsilon(0.05));
  Words text = words;
  text.erase(text.begin() + 1);
  CHECK_THAT(run_here(text).out, contains(" machines") && contains("100 Gbit/s"));
}

}  // namespace
}  // namespace inkling
