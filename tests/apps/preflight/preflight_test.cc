// inkling info and the preflight: a rehearsed step needs the same memory and work as a real step, but does
// not use that memory.
#include "apps/preflight/preflight.h"

#include <map>
#include <nlohmann/json.hpp>

#include "apps/preflight/machine.h"
#include "core/error.h"
#include "core/memory.h"
#include "core/parallel.h"
#include "nn/gpt2.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

PreflightRequest small(Precision precision, bool recompute = false) {
  return {.model = {.max_seq_len = 64, .vocab_size = 300, .layers = 3, .heads = 4, .channels = 64},
          .batch_size = 4,
          .seq_len = 48,
          .precision = precision,
          .recompute = recompute};
}

std::map<std::string, std::int64_t> by_name(const Preflight& preflight) {
  std::map<std::string, std::int64_t> parts;
  for (const Preflight::Part& part : preflight.memory) parts[part.name] = part.bytes;
  return parts;
}

TEST_CASE(
    "preflight: memory and work equal the memory and work of a real step, in f32 and bf16, with and without "
    "recompute") {
  const RestoreThreads restore;
  set_threads(1);  // ops run one after another, as in the rehearsal; parallel ops would need more workspaces
  for (const auto& [precision, recompute] :
       {std::pair{Precision::f32, false}, std::pair{Precision::bf16, false}, std::pair{Precision::f32, true},
        std::pair{Precision::bf16, true}}) {
    INFO(name(precision) << (recompute ? ", recomputing" : ""));
    const PreflightRequest request = small(precision, recompute);
    const Preflight predicted = rehearse(request);
    const auto parts = by_name(predicted);

    release_workspaces();
    GPT2 model(request.model);
    model.initialise(1);
    model.set_precision(precision, Recording::on);
    model.set_recompute(recompute);
    std::vector<std::int32_t> tokens(4 * 48, 7);
    Profile profile;
    Tape tape;
    tape.profile_into(&profile);
    profile.begin_step(1);
    const Tensor loss = model.loss(tape, Tensor(tokens.data(), {4, 48}), Tensor(tokens.data(), {4, 48}));
    const auto activations = static_cast<std::int64_t>(tape.peak_bytes());
    tape.set_schedule(Schedule::serial);
    tape.backward(loss);
    const auto gradients = static_cast<std::int64_t>(tape.peak_bytes()) - activations;

    CHECK(parts.at("weights") == 4 * request.model.parameter_count());
    CHECK(parts.at("optimiser state (AdamW)") == 8 * request.model.parameter_count());
    CHECK(parts.at("activations") == activations);
    CHECK(parts.at("gradients of activations") == gradients);
    CHECK(parts.at("workspaces: logits, packed operands") == workspace_bytes());
    CHECK(parts.contains("weights packed in bf16") == (precision == Precision::bf16));

    double flops = 0, bytes = 0, predicted_flops = 0, predicted_bytes = 0;
    for (const ProfileEvent& event : profile.end_step().events)
      flops += event.work.flops, bytes += event.work.bytes;
    for (const Preflight::Op& op : predicted.ops) {
      if (op.phase == Phase::update) continue;
      predicted_flops += op.work.flops, predicted_bytes += op.work.bytes;
    }
    CHECK(flops > 0);
    CHECK(predicted_flops == approx(flops));
    CHECK(predicted_bytes == approx(bytes));
  }
}

TEST_CASE("preflight: a model with more than 1e9 weights is rehearsed without using its memory") {
  PreflightRequest request{.model = GPT2Config::named("gpt2:d48"), .batch_size = 8, .seq_len = 1024};
  const std::int64_t before = resident_bytes();
  const Preflight preflight = rehearse(request);
  // About 5 MB, and about 90 MB under AddressSanitizer, which keeps notes about the end of each tensor.
  CHECK(resident_bytes() - before < std::int64_t{256} << 20);
  CHECK(preflight.total_bytes() > std::int64_t{40} << 30);
}

TEST_CASE("preflight: with recompute, the rehearsal does not write to the blocks' results") {
  const Rehearsal rehearsal;
  GPT2 model({.max_seq_len = 1024, .vocab_size = 300, .layers = 8, .heads = 4, .channels = 512});
  model.set_recompute(true);
  std::vector<std::int32_t> tokens(8 * 1024, 7);
  const std::int64_t before = resident_bytes();
  Tape tape;
  model.loss(tape, Tensor(tokens.data(), {8, 1024}), Tensor(tokens.data(), {8, 1024}));
  // Each of the 8 blocks keeps two results of 16 MiB.
  CHECK(tape.peak_bytes() > std::size_t{256} << 20);
  CHECK(resident_bytes() - before < std::int64_t{64} << 20);
}

TEST_CASE("preflight: the largest batch fits, and a batch with one more sequence does not") {
  PreflightRequest request = small(Precision::f32);
  const std::int64_t available = rehearse(request).total_bytes() + (std::int64_t{4} << 20);
  const std::int64_t most = largest_batch(request, available);
  CHECK(most >= 4);
  request.batch_size = most + 1;
  CHECK(rehearse(request).total_bytes() > available);
  CHECK(largest_batch(request, 1000) == 0);
}

TEST_CASE("preflight: micro-batches repeat a step's work but not its update, and need no more memory") {
  PreflightRequest request = small(Precision::f32);
  const Preflight one = rehearse(request);
  request.grad_accum = 3;
  const Preflight three = rehearse(request);
  REQUIRE(one.ops.size() == three.ops.size());
  for (std::size_t i = 0; i < one.ops.size(); ++i) {
    INFO(one.ops[i].name);
    const int times = one.ops[i].phase == Phase::update ? 1 : 3;
    CHECK(three.ops[i].calls == times * one.ops[i].calls);
    CHECK(three.ops[i].work.flops == approx(times * one.ops[i].work.flops));
    CHECK(three.ops[i].work.bytes == approx(times * one.ops[i].work.bytes));
  }
  for (std::size_t i = 0; i < one.memory.size(); ++i) {
    if (one.memory[i].name != std::string("the program itself"))
      CHECK(one.memory[i].bytes == three.memory[i].bytes);
  }
}

TEST_CASE("preflight: the time of a generated token is the time of reading all weights except wpe") {
  const PreflightRequest request = small(Precision::f32);
  const Roof roof{.fma_gflops = 100, .bf16_gflops = 1000, .triad_gbs = 20, .read_gbs = 25};
  const double weights = static_cast<double>(request.model.parameter_count()) - 64.0 * 64;
  CHECK(predicted_token_seconds(request, roof) == approx(4 * weights / (25e9 * kReading)));
  CHECK(predicted_token_seconds(small(Precision::bf16), roof) == approx(2 * weights / (25e9 * kReading)));
}

TEST_CASE("info: it prints the machine and, with a model, the needs of a run, as text and as JSON") {
  const Outcome machine = run({"info"});
  REQUIRE(machine.status == 0);
  for (const char* word : {"CPU", "INKLING_ISA", "threads", "GiB", "GFLOP/s", "GB/s triad"})
    CHECK_THAT(machine.out, contains(word));
  CHECK(machine.out.find("Training with") == std::string::npos);

  const Outcome outcome = run({"info", "--model", "tests/goldens/small.bin", "--batch-size", "2", "--seq-len",
                               "16", "--grad-accum", "5", "--recompute", "--json"});
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const json info = json::parse(outcome.out);
  CHECK(info.at("roof").at("fma_gflops") > 0);
  const json& preflight = info.at("preflight");
  std::int64_t total = 0, parameters = 0;
  for (const json& part : preflight.at("memory")) total += part.at("bytes").get<std::int64_t>();
  for (const json& count : preflight.at("parameter_groups")) parameters += count.get<std::int64_t>();
  CHECK(preflight.at("total_bytes") == total);
  CHECK(preflight.at("parameters") == parameters);
  const std::int64_t C = 30, L = 2;
  const json& groups = preflight.at("parameter_groups");
  CHECK(groups.at("embeddings") == 256 * C + 24 * C);  // V = 131 padded to a multiple of 128
  CHECK(groups.at("attention") == L * (3 * C * C + 3 * C + C * C + C));
  CHECK(groups.at("mlp") == L * (4 * C * C + 4 * C + 4 * C * C + C));
  CHECK(groups.at("norms") == L * 4 * C + 2 * C);
  CHECK(preflight.at("memory")[0] == json{{"what", "weights"}, {"bytes", 4 * parameters}});
  CHECK(preflight.at("grad_accum") == 5);
  CHECK(preflight.at("recompute") == true);
  CHECK(preflight.at("tokens_per_s").get<double>() ==
        approx(2 * 16 * 5 / preflight.at("step_seconds").get<double>()));
  CHECK(preflight.at("fits") == true);
  CHECK(preflight.at("largest_batch_size") >= 2);
  CHECK(preflight.at("step_seconds") > 0);
  CHECK_THAT(run({"info", "--layers", "2", "--heads", "2", "--channels", "64"}).out,
             contains("Training with B=4 T=64, f32"));
  CHECK_THAT(run({"info", "--layers", "2", "--max-seq-len", "32"}).out, contains("Training with B=4 T=32"));
  CHECK_THAT(run({"info", "--batch-size", "2"}).out, contains("Training with B=2 T=64"));
}

TEST_CASE("info: wrong values of flags are refused with one line") {
  const auto refused = [](const std::vector<std::string>& flags, const char* why) {
    expect(std::vector<std::string>{"info"} + flags, 2, {why});
  };
  refused({"--model", "gpt2:d13"}, "gpt2:d48, or a checkpoint's file");
  refused({"--model", "gpt2:d12", "--seq-len", "2000"},
          "--seq-len is 2000, expected at most the model's maximum of 1024");
  refused({"--model", "gpt2:d12", "--precision", "f16"}, "f16");
  refused({"--batch-size", "2147483648"}, "--batch-size is 2147483648, expected at most 33554432 with T=64");
  refused({"--layers", "2", "--heads", "5"}, "multiple of the number of heads");
}

}  // namespace
}  // namespace inkling
