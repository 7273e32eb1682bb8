// inkling eval, and the windows (apps/text/windows.h) into which it cuts shards.
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/text/windows.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "nn/checkpoint.h"
#include "tests/apps/nan_model.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

// Writes a shard with the tokens begin, begin + 1, ...
void write_count(const std::string& path, std::int32_t begin, std::int64_t tokens) {
  std::vector<std::int32_t> ids(static_cast<std::size_t>(tokens));
  std::iota(ids.begin(), ids.end(), begin);
  ShardWriter writer(path, 1000);
  writer.append(ids);
  writer.commit();
}

TEST_CASE("windows: every token except a shard's first is a target once, after the token before it") {
  const TemporaryDirectory temporary;
  for (const auto& [first_size, second_size] : {std::pair{2, 17}, {10, 2}, {13, 30}, {25, 25}}) {
    for (const std::int64_t B : {1, 2, 3}) {
      for (const std::int64_t T : {1, 4, 6, 40}) {
        write_count(temporary / "a.bin", 100, first_size);
        write_count(temporary / "b.bin", 500, second_size);
        Windows windows({temporary / "a.bin", temporary / "b.bin"}, B, T, 1000);
        CHECK(windows.batch_size() <= B);
        std::vector<std::int32_t> seen, want, inputs(static_cast<std::size_t>(windows.batch_size() * T)),
            targets(inputs.size());
        std::int64_t batches = 0;
        for (; windows.next(inputs.data(), targets.data()); ++batches) {
          for (std::size_t i = 0; i < inputs.size(); ++i) {
            if (targets[i] < 0) continue;
            seen.push_back(targets[i]);
            if (inputs[i] != targets[i] - 1) FAIL_CHECK("target " << targets[i] << " follows " << inputs[i]);
            const bool first_of_row = i % static_cast<std::size_t>(T) == 0;
            if (!first_of_row && inputs[i] != targets[i - 1])
              FAIL_CHECK("the tokens of a row are not consecutive");
          }
        }
        for (std::int32_t i = 101; i < 100 + first_size; ++i) want.push_back(i);
        for (std::int32_t i = 501; i < 500 + second_size; ++i) want.push_back(i);
        CHECK(seen == want);
        CHECK(windows.targets() == std::ssize(want));
        CHECK(windows.batches() == batches);
      }
    }
  }
}

TEST_CASE(
    "windows: with an end-of-text token given, no window crosses documents; each token is a target once") {
  const TemporaryDirectory temporary;
  constexpr std::int32_t kEnd = 0;
  const std::vector<std::int32_t> ids = {kEnd, 1, 2, kEnd, 3, kEnd, kEnd, 4, 5, 6, 7, 8, kEnd, 9};
  ShardWriter writer(temporary / "a.bin", 10);
  writer.append(ids);
  writer.commit();
  for (const std::int64_t T : {1, 2, 3, 20}) {
    Windows windows({temporary / "a.bin"}, 1, T, 10, kEnd);
    std::vector<std::int32_t> seen, inputs(static_cast<std::size_t>(T)), targets(inputs.size());
    std::int64_t batches = 0;
    for (; windows.next(inputs.data(), targets.data()); ++batches) {
      for (std::size_t i = 0; i < inputs.size() && targets[i] >= 0; ++i) {
        seen.push_back(targets[i]);
        if (i > 0) CHECK(inputs[i] != kEnd);
      }
    }
    CHECK(seen == std::vector<std::int32_t>(ids.begin() + 1, ids.end()));
    CHECK(batches == windows.batches());
    CHECK(windows.targets() == std::ssize(seen));
  }
}

TEST_CASE("windows: a shard with one token, or with a token outside the vocabulary, is refused") {
  const TemporaryDirectory temporary;
  write_count(temporary / "one.bin", 5, 1);
  CHECK_THROWS_WITH(Windows({temporary / "one.bin"}, 1, 4, 1000),
                    contains("has 1 token, expected at least 2"));
  write_count(temporary / "wide.bin", 90, 20);
  CHECK_THROWS_WITH(Windows({temporary / "wide.bin"}, 1, 4, 100), contains("wide.bin"));
}

json evaluate(const std::vector<std::string>& flags) {
  const Outcome outcome = run(std::vector<std::string>{"eval", "--model", "tests/goldens/small.bin", "--data",
                                                       "tests/goldens/curve_tokens.bin", "--json"} +
                              flags);
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  return json::parse(outcome.out);
}

TEST_CASE("eval: the loss is the mean over the whole shard for every batch size, and perplexity is its exp") {
  const Shard shard("tests/goldens/curve_tokens.bin");
  GPT2 model = load_model("tests/goldens/small.bin");
  double nats = 0;
  for (std::int64_t first = 0; first < shard.size() - 1; first += 16) {  // one window of 16 tokens at a time
    const std::int64_t T = std::min<std::int64_t>(16, shard.size() - 1 - first);
    std::vector<std::int32_t> ids(static_cast<std::size_t>(T)), targets(ids.size());
    shard.copy(first, T, ids.data());
    shard.copy(first + 1, T, targets.data());
    Tape tape(Recording::off);
    std::vector<float> losses(ids.size());
    model.token_losses(tape, Tensor(ids.data(), {1, T}), Tensor(targets.data(), {1, T}), losses.data());
    nats += std::accumulate(losses.begin(), losses.end(), 0.0);
  }
  const double want = nats / static_cast<double>(shard.size() - 1);
  for (const char* batch_size : {"1", "3", "8"}) {
    const json result = evaluate({"--seq-len", "16", "--batch-size", batch_size});
    CHECK(result.at("tokens") == shard.size() - 1);
    CHECK(result.at("loss").get<double>() == approx(want).epsilon(1e-6));
    CHECK(result.at("perplexity").get<double>() == approx(std::exp(want)).epsilon(1e-5));
    CHECK(result.at("tokens_per_s") > 0);
  }
  CHECK(evaluate({"--seq-len", "16", "--batch-size", "2", "--batches", "3"}).at("tokens") == 3 * 2 * 16);
}

TEST_CASE("eval: the loss in bf16 is close to the loss in f32") {
  const double f32 = evaluate({}).at("loss"), bf16 = evaluate({"--precision", "bf16"}).at("loss");
  // bf16 has 8 bits of mantissa, and the errors of single tokens average out.
  CHECK(bf16 == approx(f32).epsilon(2e-3));
  CHECK(bf16 != f32);
}

TEST_CASE("eval: with a tokenizer, the loss is also given in bits per byte") {
  const TemporaryDirectory temporary;
  std::vector<std::string> tokens;
  for (int id = 0; id < 131; ++id) tokens.emplace_back(id % 2 == 0 ? "ab" : "abcd");
  const GPT2Config config = load_model("tests/goldens/small.bin").config();
  tokens.resize(static_cast<std::size_t>(config.vocab_size), "x");
  Tokenizer(tokens, static_cast<std::int32_t>(config.vocab_size - 1)).write(temporary / "tokenizer.bin");
  std::vector<std::int32_t> ids;  // without end-of-text, so that all targets are text
  for (int i = 0; i < 100; ++i) ids.push_back(i * i % 130);
  ShardWriter writer(temporary / "shard.bin", config.vocab_size);
  writer.append(ids);
  writer.commit();
  std::int64_t bytes = 0;
  for (std::size_t i = 1; i < ids.size(); ++i) bytes += std::ssize(tokens[static_cast<std::size_t>(ids[i])]);
  const Outcome outcome =
      run({"eval", "--model", "tests/goldens/small.bin", "--data", temporary / "shard.bin", "--tokenizer",
           temporary / "tokenizer.bin", "--json"});
  REQUIRE(outcome.status == 0);
  const json result = json::parse(outcome.out);
  const double bits = result.at("loss").get<double>() * 99 / std::log(2.0);
  CHECK(result.at("bits_per_byte").get<double>() == approx(bits / static_cast<double>(bytes)));
}

TEST_CASE("eval: end-of-text is not text: neither its loss nor its bytes are in the bits per byte") {
  const TemporaryDirectory temporary;
  // 50 documents of one byte, "A", each after an end-of-text token, as a byte tokenizer writes them.
  GPT2 model({.max_seq_len = 16, .vocab_size = 257, .layers = 1, .heads = 2, .channels = 16});
  model.initialise(1);
  save_model(temporary / "model.bin", model.config(), model.parameters().values());
  Tokenizer::bytes().write(temporary / "tokenizer.bin");
  std::vector<std::int32_t> ids;
  for (int i = 0; i < 50; ++i) ids.insert(ids.end(), {256, 65});
  ShardWriter writer(temporary / "shard.bin", 257);
  writer.append(ids);
  writer.commit();

  // The loss of each target, from windows of one target: the token after 256 is 65, and the reverse.
  const auto loss_after = [&](std::int32_t id, std::int32_t target) {
    Tape tape(Recording::off);
    float loss = 0;
    model.token_losses(tape, Tensor(&id, {1, 1}), Tensor(&target, {1, 1}), &loss);
    return static_cast<double>(loss);
  };
  const double text = 50 * loss_after(256, 65), separators = 49 * loss_after(65, 256);
  const Outcome outcome = run({"eval", "--model", temporary / "model.bin", "--data", temporary / "shard.bin",
                               "--seq-len", "1", "--json"});
  REQUIRE(outcome.status == 0);
  const json result = json::parse(outcome.out);
  CHECK(result.at("tokens") == 99);
  CHECK(result.at("loss").get<double>() == approx((text + separators) / 99).epsilon(1e-6));
  CHECK(result.at("text_bytes") == 50);
  CHECK(result.at("bits_per_byte").get<double>() == approx(text / std::log(2.0) / 50).epsilon(1e-6));
  CHECK_THAT(run({"eval", "--model", temporary / "model.bin", "--data", temporary / "shard.bin"}).out,
             contains(" over 50 bytes of text"));
}

TEST_CASE("eval: a batch has at most as many windows as there are, so a large --batch-size costs no time") {
  const Windows windows({"tests/goldens/curve_tokens.bin"}, 20'000, 16, 131);
  CHECK(windows.batches() == 1);
  CHECK(windows.batch_size() == 188);  // 3,000 targets in windows of 16
  CHECK(Windows({"tests/goldens/curve_tokens.bin"}, 188, 16, 131).batch_size() == 188);
  CHECK(Windows({"tests/goldens/curve_tokens.bin"}, 187, 16, 131).batches() == 2);
  CHECK(evaluate({"--seq-len", "16", "--batch-size", "20000"}).at("loss").get<double>() ==
        approx(evaluate({"--seq-len", "16"}).at("loss").get<double>()).epsilon(1e-6));
}

TEST_CASE("eval: a model with a NaN weight is an error, and no NaN is printed") {
  const TemporaryDirectory temporary;
  const std::string model = write_nan_model(temporary);
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--json"}}) {
    const Outcome outcome =
        run(std::vector<std::string>{"eval", "--model", model, "--data", "tests/goldens/curve_tokens.bin"} +
            more);
    CHECK(outcome.status == 1);
    CHECK(outcome.out.empty());
    CHECK_THAT(outcome.err, contains(kNanModelError));
  }
}

TEST_CASE("eval: a loss that overflows is an error, and a perplexity that overflows is the largest double") {
  const TemporaryDirectory temporary;
  const std::string golden = read_text("tests/goldens/small.bin");
  const auto evaluated = [&](float lnfw) {  // with these weights in the last norm
    std::string model = golden;
    const std::vector<float> large(30, lnfw);
    std::memcpy(model.data() + model.size() - 4 * 60, large.data(), 4 * 30);
    write_text(temporary / "large.bin", model);
    return run(
        {"eval", "--model", temporary / "large.bin", "--data", "tests/goldens/curve_tokens.bin", "--json"});
  };
  const Outcome overflows = evaluated(3e38f);
  CHECK(overflows.status == 1);
  CHECK(overflows.out.empty());
  CHECK_THAT(overflows.err, contains("is not a finite number: the model has weights that are too large"));
  const Outcome large = evaluated(1e6f);
  CHECK(large.status == 0);
  const auto result = json::parse(large.out);
  CHECK(result.at("loss") > 1000);
  CHECK(result.at("perplexity") == std::numeric_limits<double>::max());
}

TEST_CASE("eval: wrong values of flags are refused with one line") {
  const auto refused = [](const std::vector<std::string>& flags, int status, const char* why) {
    expect(std::vector<std::string>{"eval", "--model", "tests/goldens/small.bin"} + flags, status, {why});
  };
  refused({"--data", "tests/goldens/curve_tokens.bin", "--seq-len", "4096"}, 2,
          "--seq-len is 4096, expected at most the model's maximum");
  refused({"--data", "tests/goldens/nothing*.bin"}, 1, "nothing*.bin");
  refused({"--data", "tests/goldens/curve_tokens.bin", "--precision", "f16"}, 2, "--precision is f16");
}

}  // namespace
}  // namespace inkling
