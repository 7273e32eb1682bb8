// Bits per byte do not depend on the tokenizer: the same bytes are counted, and the losses are those of the
// model.
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/text/shard.h"
#include "apps/tokenizer/tokenizer.h"
#include "nn/checkpoint.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

// A model whose weights are all 0 gives every token the probability 1 / V, so every loss is ln V.
void write_uniform_model(const std::string& path, std::int64_t V) {
  GPT2 model({.max_seq_len = 16, .vocab_size = V, .layers = 1, .heads = 1, .channels = 8});
  std::fill(model.parameters().values().begin(), model.parameters().values().end(), 0.0f);
  save_model(path, model.config(), model.parameters().values());
}

TEST_CASE(
    "bits per byte: two tokenizers count the same bytes, and a uniform model has the bits of arithmetic") {
  const TemporaryDirectory temporary;
  std::string text;  // of the documents, without the lines between them
  std::string file;
  for (int document = 0; document < 30; ++document) {
    const std::string one =
        str("Document ", document, " is about a caf\xc3\xa9 in the town, and in the town it ends.\n");
    text += one;
    file += (document > 0 ? "<|endoftext|>\n" : "") + one;
  }
  write_text(temporary / "text", file);
  struct Row {
    std::string name;
    std::vector<std::string> flags;
  };
  std::vector<std::int64_t> tokens;
  for (const Row& row : {Row{"bytes", {"--bytes"}}, Row{"bpe", {"--vocab-size", "300"}}}) {
    const std::string out = temporary / row.name;
    REQUIRE(run(std::vector<std::string>{"tokenize", "--input", temporary / "text", "--val-fraction", "0",
                                         "--out", out} +
                row.flags)
                .status == 0);
    const auto V = static_cast<double>(Tokenizer::read(out + "_tokenizer.bin").vocab_size());
    write_uniform_model(out + ".bin", static_cast<std::int64_t>(V));
    const Outcome outcome = run({"eval", "--model", out + ".bin", "--data", out + "_train.bin", "--json"});
    INFO(outcome.err);
    REQUIRE(outcome.status == 0);
    const json result = json::parse(outcome.out);
    // The first end-of-text is no target. The other 29 are targets, but no text.
    const std::int64_t all = Shard(out + "_train.bin").size() - 1, of_text = all - 29;
    CHECK(result.at("tokens") == all);
    CHECK(result.at("text_bytes") == std::ssize(text));
    CHECK(result.at("loss").get<double>() == approx(std::log(V)).epsilon(1e-6));
    CHECK(
        result.at("bits_per_byte").get<double>() ==
        approx(static_cast<double>(of_text) * std::log2(V) / static_cast<double>(text.size())).epsilon(1e-6));
    tokens.push_back(of_text);
  }
  CHECK(tokens[0] == std::ssize(text));  // a byte, a token
  CHECK(tokens[1] < tokens[0] / 2);      // so the two evaluations had really different tokens
}

}  // namespace
}  // namespace inkling
