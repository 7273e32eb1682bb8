// inkling eval against losses that the test computes in double: over windows, and document by document.
#include <cmath>
#include <nlohmann/json.hpp>

#include "nn/checkpoint.h"
#include "tests/apps/process.h"
#include "tests/apps/run/tiny_run.h"
#include "tests/nn/reference_gpt2.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;
using Ids = std::vector<std::int32_t>;

constexpr std::int32_t kEnd = 130;  // the golden model's last token

// Adds the losses of rows, computed by the reference model in double.
struct HandCount {
  GPT2 model = load_model("tests/goldens/small.bin");
  ReferenceGpt2 reference{model};
  double nats = 0;
  std::int64_t tokens = 0;

  void add(const Ids& row) {
    for (double loss : reference.token_losses(row)) nats += loss;
    tokens += std::ssize(row) - 1;
  }
};

void check_eval(const std::vector<std::string>& flags, const HandCount& count) {
  const Outcome outcome =
      run(std::vector<std::string>{"eval", "--model", "tests/goldens/small.bin", "--json"} + flags);
  INFO(outcome.err);
  REQUIRE(outcome.status == 0);
  const json result = json::parse(outcome.out);
  constexpr double kFloatAgainstDouble = 1e-5;  // relative error of a mean of float losses
  const double want = count.nats / static_cast<double>(count.tokens);
  CHECK(result.at("tokens") == count.tokens);
  CHECK(result.at("loss").get<double>() == approx(want).epsilon(kFloatAgainstDouble));
  CHECK(result.at("perplexity").get<double>() == approx(std::exp(result.at("loss").get<double>())));
}

TEST_CASE("eval: the loss over windows and over documents is the mean of the reference model's losses") {
  const TemporaryDirectory temporary;
  Rng rng(4);
  const auto random_tokens = [&](std::int64_t n) {
    Ids ids;
    for (std::int64_t i = 0; i < n; ++i) ids.push_back(static_cast<std::int32_t>(rng.below(130)));
    return ids;
  };
  // Documents shorter and longer than T = 8, an empty document, and a document at the end of the first shard.
  Ids first, second;
  for (std::int64_t length : {3, 0, 8, 21, 7}) {
    first.push_back(kEnd);
    for (std::int32_t id : random_tokens(length)) first.push_back(id);
  }
  second = random_tokens(5);  // the second shard begins in the middle of a document
  second.push_back(kEnd);
  for (std::int32_t id : random_tokens(4)) second.push_back(id);
  write_shard(temporary / "a.bin", first, 131);
  write_shard(temporary / "b.bin", second, 131);

  constexpr std::size_t T = 8;
  HandCount windows, documents;
  for (const Ids& ids : {first, second}) {
    for (std::size_t at = 0; at + 1 < ids.size(); at += T) {
      const std::size_t end = std::min(at + T + 1, ids.size());
      windows.add(
          Ids(ids.begin() + static_cast<std::ptrdiff_t>(at), ids.begin() + static_cast<std::ptrdiff_t>(end)));
    }
    // A window ends after T targets, or at the next document. Then its last target is the end-of-text token
    // that begins that document.
    for (std::size_t at = 0; at + 1 < ids.size();) {
      std::size_t last = at + 1;
      while (last < ids.size() - 1 && last - at < T && ids[last] != kEnd) ++last;
      documents.add(Ids(ids.begin() + static_cast<std::ptrdiff_t>(at),
                        ids.begin() + static_cast<std::ptrdiff_t>(last) + 1));
      at = last;
    }
  }
  CHECK(windows.tokens == std::ssize(first) + std::ssize(second) - 2);
  CHECK(documents.tokens == windows.tokens);
  CHECK(windows.nats != documents.nats);
  const std::vector<std::string> flags = {"--data", temporary / "?.bin", "--seq-len",
                                          "8",      "--batch-size",      "3"};
  check_eval(flags, windows);
  check_eval(flags + std::vector<std::string>{"--documents"}, documents);
}

TEST_CASE("eval: the text output has the same numbers as --json, and the number of evaluated tokens") {
  const std::vector<std::string> flags = {"eval",
                                          "--model",
                                          "tests/goldens/small.bin",
                                          "--data",
                                          "tests/goldens/curve_tokens.bin",
                                          "--batch-size",
                                          "2",
                                          "--seq-len",
                                          "10",
                                          "--batches",
                                          "4"};
  const Outcome text = run(flags);
  const json numbers = json::parse(run(flags + std::vector<std::string>{"--json"}).out);
  const auto fixed = [](double x, int digits) {
    std::ostringstream out;
    out.precision(digits);
    out << std::fixed << x;
    return out.str();
  };
  CHECK(numbers.at("tokens") == 80);
  CHECK(numbers.at("model") == "tests/goldens/small.bin");
  CHECK(numbers.at("precision") == "f32");
  CHECK_FALSE(numbers.contains("bits_per_byte"));
  CHECK_THAT(text.out, contains("loss            " + fixed(numbers.at("loss"), 4) + " nats per token\n"));
  CHECK_THAT(text.out, contains("perplexity      " + fixed(numbers.at("perplexity"), 2) + "\n"));
  CHECK_THAT(text.out, contains("tokens          80 of 3,000\n"));
  CHECK(text.out.find("bits per byte") == std::string::npos);
}

}  // namespace
}  // namespace inkling
