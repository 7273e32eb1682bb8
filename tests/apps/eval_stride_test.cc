// inkling eval --stride: windows that overlap, so that each token is predicted from more context.
#include <nlohmann/json.hpp>

#include "apps/text/windows.h"
#include "core/error.h"
#include "nn/checkpoint.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

const std::string kModel = "tests/goldens/small.bin", kData = "tests/goldens/curve_tokens.bin";

void write_shard(const std::string& path, const std::vector<std::int32_t>& ids) {
  ShardWriter writer(path, 1000);
  writer.append(ids);
  writer.commit();
}

// A target and the number of tokens that it is predicted from.
struct Scored {
  std::int32_t target;
  std::int64_t context;
};

std::vector<Scored> scored(const std::vector<std::string>& paths, std::int64_t B, std::int64_t T,
                           std::int64_t stride, std::int32_t end_of_text) {
  Windows windows(paths, B, T, 1000, end_of_text, LossMask::use, stride);
  std::vector<std::int32_t> inputs(static_cast<std::size_t>(windows.batch_size() * T)),
      targets(inputs.size());
  std::vector<Scored> all;
  std::int64_t batches = 0;
  for (; windows.next(inputs.data(), targets.data()); ++batches) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      if (targets[i] >= 0) all.push_back({targets[i], static_cast<std::int64_t>(i) % T + 1});
    }
  }
  CHECK(batches == windows.batches());
  CHECK(std::ssize(all) == windows.targets());
  return all;
}

TEST_CASE(
    "stride: every token is scored once and in order, from at least T - stride + 1 tokens after the first "
    "T") {
  const TemporaryDirectory temporary;
  for (const int size : {2, 7, 8, 9, 30, 31}) {
    std::vector<std::int32_t> ids;
    for (int i = 0; i < size; ++i) ids.push_back(100 + i);
    write_shard(temporary / "a.bin", ids);
    write_shard(temporary / "b.bin", {500, 501, 502});
    for (const std::int64_t T : {1, 4, 8}) {
      for (std::int64_t stride = 1; stride <= T; ++stride) {
        for (const std::int64_t B : {1, 3}) {
          INFO(size << " tokens, T " << T << ", stride " << stride << ", B " << B);
          const std::vector<Scored> got =
              scored({temporary / "a.bin", temporary / "b.bin"}, B, T, stride, -1);
          REQUIRE(std::ssize(got) == size - 1 + 2);
          for (std::int64_t i = 0; i < size - 1; ++i) {
            const Scored& token = got[static_cast<std::size_t>(i)];
            if (token.target != 101 + i) FAIL_CHECK("target " << i << " is " << token.target);
            if (token.context < std::min(i + 1, T - stride + 1))
              FAIL_CHECK("target " << i << " has too little context");
          }
        }
      }
    }
  }
}

TEST_CASE("stride: with documents, no window crosses documents and each document begins a new window") {
  const TemporaryDirectory temporary;
  constexpr std::int32_t kEnd = 0;
  write_shard(temporary / "a.bin", {kEnd, 1, 2, 3, 4, 5, 6, kEnd, 7, kEnd, 8, 9, 10, 11, kEnd});
  for (const std::int64_t stride : {1, 2, 3}) {
    INFO("stride " << stride);
    const std::vector<Scored> got = scored({temporary / "a.bin"}, 2, 3, stride, kEnd);
    std::vector<std::int32_t> targets;
    for (const Scored& token : got) targets.push_back(token.target);
    CHECK(targets == std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, kEnd, 7, kEnd, 8, 9, 10, 11, kEnd});
    CHECK(got[7].context == 1);  // 7 is predicted from its document's end-of-text
    CHECK(got[3].context == (stride == 3 ? 1 : 4 - stride));  // 4 is in the second window
  }
}

json evaluate(const std::vector<std::string>& flags) {
  const Outcome outcome =
      run(std::vector<std::string>{"eval", "--model", kModel, "--data", kData, "--json"} + flags);
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  return json::parse(outcome.out);
}

TEST_CASE("stride: eval's loss is the mean over windows that are evaluated one by one") {
  const Shard shard(kData);
  GPT2 model = load_model(kModel);
  constexpr std::int64_t kT = 20, kStride = 6;
  double nats = 0;
  std::int64_t tokens = 0;
  for (std::int64_t first = 0; tokens < shard.size() - 1; first += kStride) {
    const std::int64_t T = std::min(kT, shard.size() - 1 - first);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(T)), targets(ids.size());
    shard.copy(first, T, ids.data());
    shard.copy(first + 1, T, targets.data());
    std::vector<float> losses(ids.size());
    Tape tape(Recording::off);
    model.token_losses(tape, Tensor(ids.data(), {1, T}), Tensor(targets.data(), {1, T}), losses.data());
    for (std::int64_t t = first == 0 ? 0 : kT - kStride; t < T; ++t, ++tokens)
      nats += static_cast<double>(losses[static_cast<std::size_t>(t)]);
  }
  const json result = evaluate({"--seq-len", "20", "--stride", "6"});
  CHECK(result.at("loss").get<double>() == approx(nats / static_cast<double>(tokens)).epsilon(1e-6));
  CHECK(result.at("context") == 20);
  CHECK(result.at("stride") == 6);
  CHECK(result.at("documents") == false);
  CHECK(result.at("tokens") == shard.size() - 1);
  CHECK(evaluate({"--seq-len", "20"}).at("stride") == 20);
  const Outcome text = run({"eval", "--model", kModel, "--data", kData, "--stride", "6", "--documents"});
  CHECK_THAT(text.out,
             contains("protocol        windows of 24 tokens, stride 6, each window inside a document; "
                      "each token is scored once\n"));
}

TEST_CASE("stride: the loss has the same bits for every batch size and number of threads") {
  const std::vector<std::string> common = {"--seq-len", "20", "--stride", "7"};
  const double one = evaluate(common + std::vector<std::string>{"--batch-size", "1"}).at("loss");
  for (const char* batch_size : {"2", "5", "64", "1000"})
    CHECK(evaluate(common + std::vector<std::string>{"--batch-size", batch_size}).at("loss") == one);
  CHECK(evaluate(common + std::vector<std::string>{"--threads", "1"}).at("loss") == one);
}

TEST_CASE("stride: a stride above T is refused") {
  expect({"eval", "--model", kModel, "--data", kData, "--seq-len", "10", "--stride", "11"}, 2,
         {"--stride is 11, expected at most --seq-len, which is 10"});
}

}  // namespace
}  // namespace inkling
