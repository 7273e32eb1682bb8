// The document mask in whole commands: train, its validation and eval.
#include <nlohmann/json.hpp>

#include "apps/run/train_settings.h"
#include "core/error.h"
#include "tests/apps/process.h"
#include "tests/apps/run/command_run.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

// A copy of the tiny run's shard, with document starts: documents of 3, 5, 3, 5, ... tokens, in rows of
// kTinyT = 8.
class PackedData {
 public:
  explicit PackedData(std::int64_t row_tokens = kTinyT) {
    std::filesystem::copy_file(kTinyShard, path());
    std::vector<std::uint8_t> starts(static_cast<std::size_t>(Shard(path()).size()));
    for (std::size_t i = 0; i < starts.size(); ++i) starts[i] = i % 8 == 0 || i % 8 == 3;
    TokenFlagsWriter flags(kDocumentStarts, flags_beside(kDocumentStarts, path()), row_tokens);
    flags.append(starts);
    flags.commit();
  }
  std::string path() const { return directory_ / "packed_train.bin"; }

 private:
  TemporaryDirectory directory_;
};

// The mean loss of batch 0, with each document alone in a row.
double loss_of_documents(GPT2& model) {
  TinyBatch batch(0);
  double sum = 0;
  for (std::int64_t first = 0; first < kTinyB * kTinyT; first += first % 8 == 0 ? 3 : 5) {
    const std::int64_t n = first % 8 == 0 ? 3 : 5;
    std::vector<float> losses(static_cast<std::size_t>(n));
    Tape tape(Recording::off);
    model.token_losses(tape, Tensor(batch.ids().i32() + first, {1, n}),
                       Tensor(batch.targets().i32() + first, {1, n}), losses.data());
    for (const float loss : losses) sum += static_cast<double>(loss);
  }
  return sum / static_cast<double>(kTinyB * kTinyT);
}

GPT2 initial_model() {
  GPT2 model(kTinyModel);
  model.initialise(kTinySeed);
  return model;
}

TEST_CASE(
    "train: with document starts, losses and validations are the same as with each document in a row of its "
    "own") {
  const PackedData data;
  const Words flags = {"--data",        data.path(), "--val-data", data.path(), "--val-every", "1",
                       "--val-batches", "1",         "--steps",    "1",         "--no-shuffle"};
  GPT2 start = initial_model();
  const double want = loss_of_documents(start);
  const CommandRun run(flags);
  CHECK(run.steps().front().at("loss").get<double>() == approx(want).epsilon(1e-6));
  CHECK(run.validations().front().at("val_loss").get<double>() == approx(want).epsilon(1e-6));
  GPT2 end = run.model();
  CHECK(run.validations().back().at("val_loss").get<double>() ==
        approx(loss_of_documents(end)).epsilon(1e-6));

  const double unmasked = CommandRun(flags + Words{"--no-document-mask"}).steps().front().at("loss");
  const double plain =
      CommandRun({"--steps", "1", "--no-shuffle"}).steps().front().at("loss");  // the shard without starts
  CHECK(unmasked == plain);
  CHECK(unmasked != approx(want).epsilon(1e-6));
}

TEST_CASE("train: --document-mask without document starts separates documents at end-of-text") {
  // Without a tokenizer, end-of-text is the last id, 130.
  const TemporaryDirectory directory;
  std::vector<std::int32_t> ids;
  std::vector<std::uint8_t> starts;
  for (int i = 0; i < 33; ++i) {
    ids.push_back(i % 5 == 3 ? 130 : i * 7 % 130);
    starts.push_back(i % 5 == 3 || i % 8 == 0);  // a row begins at every eighth token
  }
  const std::string path = directory / "plain.bin";
  ShardWriter shard(path, 131);
  shard.append(ids);
  shard.commit();
  const auto loss = [&](const Words& flags) {
    const Words all = Words{"--data", path, "--steps", "1", "--no-shuffle"} + flags;
    return CommandRun(all).steps().front().at("loss").get<double>();
  };
  const double without = loss({}), at_end_of_text = loss({"--document-mask"});
  TokenFlagsWriter flags(kDocumentStarts, flags_beside(kDocumentStarts, path));
  flags.append(starts);
  flags.commit();
  CHECK(at_end_of_text == loss({}));
  CHECK(at_end_of_text != approx(without).epsilon(1e-6));
}

TEST_CASE("train: document starts choose the document mask and the length of rows") {
  const PackedData data(16);
  const auto resolved = [&](json given) {
    given["data"] = data.path();
    given["precision"] = "f32";
    return resolve({.given = given, .model_name = ""});
  };
  CHECK(resolved({}).document_mask);
  CHECK(resolved({}).seq_len == 16);
  CHECK(resolved({}).model.max_seq_len == 16);
  CHECK_FALSE(resolved({{"document_mask", false}}).document_mask);
  CHECK(resolved({{"seq_len", 8}}).seq_len == 8);
  CHECK_THROWS_WITH(CommandRun({"--data", data.path()}),  // with --seq-len 8
                    contains("packed in rows of 16 tokens, got --seq-len 8"));
  // A model that cannot read a whole row.
  CHECK_THROWS_WITH(resolved({{"model", {{"max_seq_len", 8}}}}),
                    contains("--seq-len is 16, expected at most the model's maximum of 8"));
}

TEST_CASE("eval: with document starts, the loss is that of documents in rows of their own") {
  const PackedData data;
  const TemporaryDirectory directory;
  GPT2 model = initial_model();
  save_model(directory / "model.bin", model.config(), model.parameters().values(), DType::f32);
  const auto evaluate = [&](const Words& flags) {
    const Outcome outcome = run(Words{"eval", "--model", directory / "model.bin", "--data", data.path(),
                                      "--json", "--batch-size", "2"} +
                                flags);
    INFO(outcome.err);
    REQUIRE(outcome.status == 0);
    return json::parse(outcome.out);
  };
  const json first = evaluate({"--batches", "1"});
  CHECK(first.at("loss").get<double>() == approx(loss_of_documents(model)).epsilon(1e-6));
  CHECK(first.at("tokens") == kTinyB * kTinyT);
  // Windows that end with their documents give the same mean.
  const json all = evaluate({}), ends = evaluate({"--documents"});
  CHECK(all.at("tokens") == ends.at("tokens"));
  CHECK(all.at("loss").get<double>() == approx(ends.at("loss").get<double>()).epsilon(1e-6));
  CHECK(evaluate({"--no-document-mask"}).at("loss").get<double>() !=
        approx(all.at("loss").get<double>()).epsilon(1e-6));
}

}  // namespace
}  // namespace inkling
