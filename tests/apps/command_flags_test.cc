// The flags of generate, eval, tokenize, info and inspect: the output must show the effect of each flag. The
// subcommands run inside the test. The expected output is computed by the library with the same settings.
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "apps/text/shard.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "nn/checkpoint.h"
#include "nn/generate.h"
#include "tests/apps/command_line.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

const std::string kModel = "tests/goldens/small.bin";  // V 131, 24 positions
const std::string kData = "tests/goldens/curve_tokens.bin";
constexpr std::int32_t kEnd = 130;  // without a tokenizer, the last token id is end-of-text

// --- generate ---

struct Asked {
  GenerateSettings settings;
  std::vector<std::int32_t> prompt = {kEnd};
  std::uint64_t seed = 42, stream = 0;
  Precision precision = Precision::f32;
};

std::vector<std::int32_t> written(Asked asked) {
  GPT2 model = load_model(kModel);
  model.set_precision(asked.precision, Recording::off);
  Rng rng(asked.seed, asked.stream);
  std::vector<std::int32_t> ids;
  generate(model, asked.prompt, asked.settings, rng, [&](std::int32_t id) {
    ids.push_back(id);
    return true;
  });
  return ids;
}

std::string as_ids(const std::vector<std::int32_t>& ids) {
  std::string text;
  for (std::int32_t id : ids) text += str(id, ' ');
  return text;
}

std::string generate_here(const Words& flags) {
  return run_here(Words{"generate", "--model", kModel} + flags).out;
}

TEST_CASE("generate flags: each flag changes the text in the same way as the library's setting") {
  struct Row {
    Words flags;
    std::function<void(Asked&)> change;
  };
  const std::vector<Row> rows = {
      {{}, [](Asked&) {}},
      {{"--max-tokens", "7"}, [](Asked& a) { a.settings.max_tokens = 7; }},
      {{"--temperature", "0.5"}, [](Asked& a) { a.settings.sampler.temperature = 0.5f; }},
      {{"--temperature", "0"}, [](Asked& a) { a.settings.sampler.temperature = 0; }},
      {{"--top-k", "5"}, [](Asked& a) { a.settings.sampler.top_k = 5; }},
      {{"--top-p", "0.3"}, [](Asked& a) { a.settings.sampler.top_p = 0.3f; }},
      {{"--min-p", "0.4"}, [](Asked& a) { a.settings.sampler.min_p = 0.4f; }},
      {{"--repetition-penalty", "1.5"},
       [](Asked& a) {
         a.settings.sampler.repetition_penalty = 1.5f;
         a.settings.sampler.never_penalised = kEnd;
       }},
      {{"--seed", "9"}, [](Asked& a) { a.seed = 9; }},
      {{"--prompt-tokens", "1,2,3"},
       [](Asked& a) {
         a.prompt = {1, 2, 3};
       }},
      {{"--precision", "bf16"}, [](Asked& a) { a.precision = Precision::bf16; }},
      {{"--precision", "int8"}, [](Asked& a) { a.precision = Precision::int8; }},
  };
  std::set<std::string> different;
  for (const Row& row : rows) {
    INFO((row.flags.empty() ? "defaults" : row.flags[0] + " " + row.flags[1]));
    Asked asked;  // 128 tokens, because of --ignore-end
    row.change(asked);
    const std::string want = as_ids(written(asked));
    CHECK(generate_here(Words{"--ignore-end"} + row.flags) == want + "\n");
    different.insert(want);
  }
  CHECK(different.size() == rows.size());
}

TEST_CASE("generate flags: --greedy, --temperature 0, --top-k 1 and a tiny --top-p give the same text") {
  const std::string likeliest = generate_here({"--temperature", "0", "--ignore-end"});
  CHECK(generate_here({"--greedy", "--ignore-end"}) == likeliest);
  CHECK(generate_here({"--top-k", "1", "--ignore-end"}) == likeliest);
  CHECK(generate_here({"--top-p", "0.000001", "--ignore-end"}) == likeliest);
  CHECK(generate_here({"--ignore-end"}) != likeliest);
}

TEST_CASE("generate flags: a text ends at end-of-text, but continues with --ignore-end") {
  Asked asked;
  asked.settings.max_tokens = 1000;  // with 131 nearly equally likely tokens, end-of-text is soon drawn
  const std::vector<std::int32_t> whole = written(asked);
  const auto end = std::find(whole.begin(), whole.end(), kEnd);
  REQUIRE(end != whole.end());
  CHECK(generate_here({"--max-tokens", "1000", "--ignore-end"}) == as_ids(whole) + "\n");
  CHECK(generate_here({"--max-tokens", "1000"}) == as_ids({whole.begin(), end}) + "\n");
}

TEST_CASE(
    "generate flags: --num-samples writes texts with random numbers of their own, also beyond a group of "
    "16") {
  for (const std::uint64_t samples : {std::uint64_t{3}, std::uint64_t{18}}) {
    INFO("samples " << samples);
    std::string want;
    for (std::uint64_t text = 0; text < samples; ++text) {
      Asked asked;
      asked.settings.max_tokens = 20;
      asked.stream = text;
      want += (text > 0 ? "---\n" : "") + as_ids(written(asked)) + "\n";
    }
    CHECK(generate_here({"--max-tokens", "20", "--ignore-end", "--num-samples", str(samples)}) == want);
  }
}

// A tokenizer whose tokens have two letters each, so that a test can distinguish text from ids.
Tokenizer letters() {
  std::vector<std::string> tokens;
  for (int id = 0; id <= kEnd; ++id)
    tokens.push_back({static_cast<char>('a' + id / 26), static_cast<char>('a' + id % 26)});
  return {tokens, kEnd};
}

TEST_CASE(
    "generate flags: --tokenizer, or the file beside the model, encodes the prompt and decodes the text") {
  const TemporaryDirectory temporary;
  const Tokenizer tokenizer = letters();
  tokenizer.write(temporary / "words.bin");
  Asked asked;
  asked.settings.max_tokens = 10;
  asked.prompt = {kEnd, 27, 3};  // end-of-text, "bb", "ad"
  const std::string want = "bbad" + tokenizer.decode(written(asked)) + "\n";
  const Words flags = {"--prompt", "bbad", "--max-tokens", "10", "--ignore-end"};
  CHECK(generate_here(flags + Words{"--tokenizer", temporary / "words.bin"}) == want);
  std::filesystem::copy_file(kModel, temporary / "model.bin");
  std::filesystem::copy_file(temporary / "words.bin", temporary / "tokenizer.bin");
  CHECK(run_here(Words{"generate", "--model", temporary / "model.bin"} + flags).out == want);
  CHECK_THROWS_WITH(generate_here(flags), contains("--prompt needs a tokenizer"));
}

// --- eval ---

json eval_here(const Words& flags, const std::string& data = kData) {
  return json::parse(run_here(Words{"eval", "--model", kModel, "--data", data, "--json"} + flags).out);
}

// The mean of -log p over rows of tokens. The model predicts all tokens of a row except the first.
double loss_of(const std::vector<std::vector<std::int32_t>>& rows, Precision precision = Precision::f32) {
  GPT2 model = load_model(kModel);
  model.set_precision(precision, Recording::off);
  double nats = 0;
  std::int64_t tokens = 0;
  for (std::vector<std::int32_t> row : rows) {
    const std::int64_t T = std::ssize(row) - 1;
    std::vector<std::int32_t> targets(row.begin() + 1, row.end());
    std::vector<float> losses(targets.size());
    Tape tape(Recording::off);
    model.token_losses(tape, Tensor(row.data(), {1, T}), Tensor(targets.data(), {1, T}), losses.data());
    for (float loss : losses) nats += static_cast<double>(loss);
    tokens += T;
  }
  return nats / static_cast<double>(tokens);
}

std::vector<std::vector<std::int32_t>> windows(std::int64_t count, std::int64_t T) {
  const Shard shard(kData);
  std::vector<std::vector<std::int32_t>> rows;
  for (std::int64_t i = 0; i < count; ++i) {
    rows.emplace_back(static_cast<std::size_t>(T + 1));
    shard.copy(i * T, T + 1, rows.back().data());
  }
  return rows;
}

// relative; losses of single tokens are floats, and the test adds them in another order
constexpr double kSameLoss = 1e-6;

TEST_CASE("eval flags: --batch-size, --seq-len and --batches set the number of evaluated tokens") {
  struct Row {
    Words flags;
    std::int64_t batches, B, T;
  };
  for (const Row& row : {Row{{"--batches", "2"}, 2, 4, 24},  // the defaults: 4 rows of maxT tokens
                         {{"--batches", "3"}, 3, 4, 24},
                         {{"--batches", "2", "--batch-size", "3"}, 2, 3, 24},
                         {{"--batches", "2", "--seq-len", "10"}, 2, 4, 10}}) {
    const json result = eval_here(row.flags);
    CHECK(result.at("tokens") == row.batches * row.B * row.T);
    CHECK(result.at("loss").get<double>() ==
          approx(loss_of(windows(row.batches * row.B, row.T))).epsilon(kSameLoss));
  }
  CHECK(eval_here({}).at("tokens") == 3000);  // all tokens except the first
}

TEST_CASE("eval flags: --model, --data and --precision choose the model, the shards and the precision") {
  const json f32 = eval_here({"--batches", "2"});
  CHECK(f32.at("model") == kModel);
  CHECK(f32.at("data") == kData);
  CHECK(f32.at("precision") == "f32");
  std::set<double> losses = {f32.at("loss").get<double>()};
  for (const auto& [flag, precision] : {std::pair{"bf16", Precision::bf16}, {"int8", Precision::int8}}) {
    const json result = eval_here({"--batches", "2", "--precision", flag});
    CHECK(result.at("precision") == flag);
    // bf16 and int8 round intermediate results, and a batch of another size may round other sums.
    CHECK(result.at("loss").get<double>() == approx(loss_of(windows(8, 24), precision)).epsilon(1e-4));
    losses.insert(result.at("loss").get<double>());
  }
  CHECK(losses.size() == 3);
}

TEST_CASE("eval flags: --documents starts a new window at every end-of-text token") {
  const TemporaryDirectory temporary;
  ShardWriter writer(temporary / "a.bin", 131);
  writer.append(std::vector<std::int32_t>{kEnd, 1, 2, 3, kEnd, 4, 5, kEnd, 6, 7, 8, 9});
  writer.commit();
  const double apart = loss_of({{kEnd, 1, 2, 3, kEnd}, {kEnd, 4, 5, kEnd}, {kEnd, 6, 7, 8, 9}});
  const double together = loss_of({{kEnd, 1, 2, 3, kEnd, 4, 5, kEnd, 6, 7, 8, 9}});
  REQUIRE(std::abs(apart - together) > 1e-3);
  CHECK(eval_here({"--documents"}, temporary / "a.bin").at("loss").get<double>() ==
        approx(apart).epsilon(kSameLoss));
  CHECK(eval_here({}, temporary / "a.bin").at("loss").get<double>() == approx(together).epsilon(kSameLoss));
}

TEST_CASE("eval flags: --tokenizer adds bits per byte, and without --json the result is text") {
  const TemporaryDirectory temporary;
  letters().write(temporary / "words.bin");
  const json with = eval_here({"--batches", "1", "--tokenizer", temporary / "words.bin"});
  const Shard shard(kData);
  std::int64_t text_tokens = 0;  // the batch has tokens 1 .. 96 as targets; a token of text has two bytes
  for (std::int64_t i = 1; i <= 96; ++i) text_tokens += shard[i] == letters().end_of_text() ? 0 : 1;
  CHECK(text_tokens < 96);
  CHECK(with.at("text_bytes") == 2 * text_tokens);
  CHECK(with.at("bits_per_byte") > 0);
  CHECK_FALSE(eval_here({"--batches", "1"}).contains("bits_per_byte"));
  const std::string text = run_here({"eval", "--model", kModel, "--data", kData, "--batches", "1"}).out;
  for (const char* line : {"loss            ", "perplexity      ", "tokens          96 of 3,000\n"})
    CHECK_THAT(text, contains(line));
}

// --- info ---

TEST_CASE("info flags: each flag has its effect on the preflight") {
  const Words all = {
      "info",          "--json", "--layers",     "3",    "--heads",      "2",         "--channels", "64",
      "--max-seq-len", "100",    "--vocab-size", "500",  "--batch-size", "5",         "--seq-len",  "32",
      "--grad-accum",  "6",      "--precision",  "bf16", "--recompute",  "--threads", "1"};
  const Answer answer = run_here(all);
  CHECK(answer.threads == 1);
  const json info = json::parse(answer.out), preflight = info.at("preflight");
  CHECK(info.at("threads") == 1);
  CHECK(preflight.at("model") ==
        json{{"layers", 3}, {"heads", 2}, {"channels", 64}, {"max_seq_len", 100}, {"vocab_size", 500}});
  CHECK(preflight.at("batch_size") == 5);
  CHECK(preflight.at("seq_len") == 32);
  CHECK(preflight.at("grad_accum") == 6);
  CHECK(preflight.at("precision") == "bf16");
  CHECK(preflight.at("recompute") == true);
  std::map<std::string, std::int64_t> bytes;
  for (const json& part : preflight.at("memory")) bytes[part.at("what")] = part.at("bytes");
  const GPT2Config model{.max_seq_len = 100, .vocab_size = 500, .layers = 3, .heads = 2, .channels = 64};
  CHECK(bytes.at("weights") == 4 * model.parameter_count());
  CHECK(bytes.contains("weights packed in bf16"));
  CHECK(preflight.at("flops_per_step").get<double>() ==
        approx(model.training_flops_per_token(32) * 5 * 32 * 6));
}

TEST_CASE("info flags: --model reads a checkpoint's dimensions, and other flags change them") {
  const json info = json::parse(run_here({"info", "--json", "--model", kModel, "--layers", "5"}).out);
  CHECK(info.at("preflight").at("model") ==
        json{{"layers", 5}, {"heads", 3}, {"channels", 30}, {"max_seq_len", 24}, {"vocab_size", 131}});
  CHECK(info.at("preflight").at("batch_size") == 4);
  CHECK(info.at("preflight").at("seq_len") == 24);  // 64, or maxT if that is less
  CHECK(info.at("preflight").at("grad_accum") == 1);
  CHECK(info.at("preflight").at("recompute") == false);
  CHECK(info.at("preflight").at("precision") == "f32");
}

// --- tokenize and inspect ---

TEST_CASE("tokenize flags: --input, --out, --tokenizer and --val-fraction have their effects") {
  const TemporaryDirectory temporary;
  write_text(temporary / "text", std::string(30000, 'a'));
  const auto tokens = [&](const std::string& part) {
    return Shard(temporary / ("my_" + part + ".bin")).size();
  };
  const auto tokenize = [&](const Words& flags) {
    return run_here(Words{"tokenize", "--input", temporary / "text", "--out", temporary / "my"} + flags).out;
  };
  CHECK_THAT(tokenize({"--bytes"}), contains("30,000 bytes, 1 document\n"));
  // Validation has a tenth of the bytes, and an end-of-text token before them.
  CHECK(tokens("train") == 27001);
  CHECK(tokens("val") == 3001);
  tokenize({"--bytes", "--val-fraction", "0.25"});
  CHECK(tokens("train") == 22501);
  CHECK(tokens("val") == 7501);
  Tokenizer({"aaa", "a", "<|endoftext|>"}, 2).write(temporary / "pairs.bin");
  tokenize({"--tokenizer", temporary / "pairs.bin"});
  CHECK(tokens("train") + tokens("val") == 10002);
  CHECK(Tokenizer::read(temporary / "my_tokenizer.bin").vocab_size() == 3);
}

TEST_CASE("inspect: every file on the command line is described") {
  const std::string out = run_here({"inspect", kData, kModel}).out;
  CHECK_THAT(out, contains(kData + ": token shard"));
  CHECK_THAT(out, contains(kModel + ": GPT-2 checkpoint"));
}

// --- all subcommands ---

TEST_CASE("command flags: --threads sets the number of threads; the default is all threads of the machine") {
  const Words generate = {"generate", "--model", kModel, "--max-tokens", "1"};
  const Words eval = {"eval", "--model", kModel, "--data", kData, "--batches", "1"};
  for (const Words& command : {generate, eval}) {
    INFO(command.front());
    CHECK(run_here(command + Words{"--threads", "3"}).threads == 3);
    CHECK(run_here(command).threads == hardware_threads());
    CHECK_THROWS_WITH(run_here(command + Words{"--threads", "0"}), contains("--threads"));
    CHECK_THROWS_WITH(run_here(command + Words{"--threads", "1025"}), contains("--threads"));
  }
}

TEST_CASE("command flags: every flag is in the list of tested flags") {
  const std::map<std::string, std::set<std::string>> tested = {
      {"generate",
       {"model", "tokenizer", "prompt", "prompt-tokens", "max-tokens", "temperature", "greedy", "top-k",
        "top-p", "min-p", "repetition-penalty", "prompt-file", "stop", "logprobs", "ignore-end", "seed",
        "num-samples", "precision", "threads"}},
      {"chat",
       {"model", "tokenizer", "system", "max-tokens", "temperature", "greedy", "top-k", "top-p", "min-p",
        "repetition-penalty", "seed", "precision", "threads"}},
      {"tokenize",
       {"input", "jsonl", "strict", "seq-len", "out", "tokenizer", "bytes", "vocab-size", "hf",
        "val-fraction", "shard-tokens", "show", "threads"}},
      {"eval",
       {"model", "data", "choices", "chat", "cut-context", "strict", "tokenizer", "batch-size", "seq-len",
        "stride", "batches", "documents", "document-mask", "precision", "threads", "json"}},
      {"explain",
       {"model", "tokenizer", "text", "text-file", "top", "seq-len", "stride", "precision", "threads", "json",
        "html"}},
      {"lesson", {"number", "json", "html", "check", "break", "quick", "seed", "threads"}},
      {"info", {"model",      "layers",  "heads",      "channels",  "max-seq-len", "vocab-size",
                "batch-size", "seq-len", "grad-accum", "recompute", "precision",   "threads",
                "json",       "ranks",   "bandwidth",  "latency",   "local-steps", "local-steps-dtype",
                "scaling",    "step-ms"}},
      {"inspect", {"files", "show", "tokenizer", "from", "tokens", "seq-len", "strict"}},
      {"story-chats", {"out", "seed", "stories", "train", "held-out", "example"}},
      {"convert", {"from", "to", "tokenizer"}},
      {"report", {"RUN", "out", "csv", "tensorboard"}},
      {"verify", {"all", "threads", "json"}},
  };
  CLI::App app;
  Action action;
  add_commands_but_train(app, action);
  CHECK(app.get_subcommands({}).size() == tested.size());
  for (const CLI::App* command : app.get_subcommands({})) {
    for (const CLI::Option* option : command->get_options()) {
      const std::string name = option->get_single_name();
      INFO(command->get_name() << " " << name);
      CHECK((name == "help" || tested.at(command->get_name()).contains(name)));
    }
  }
}

TEST_CASE("command flags: the help of every flag that takes a value shows the default") {
  // The text commands say in other words what happens without these flags.
  const std::set<std::string> checked = {"generate",    "lesson", "info",  "report",
                                         "story-chats", "train",  "verify"};
  CLI::App app;
  Action action;
  add_commands_but_train(app, action);
  add_train(app, action);
  for (const CLI::App* command : app.get_subcommands({})) {
    if (!checked.contains(command->get_name())) continue;
    for (const CLI::Option* option : command->get_options()) {
      if (option->get_items_expected_max() == 0 || option->get_required()) continue;
      INFO(command->get_name() << " " << option->get_name() << ": " << option->get_description());
      const std::string help = option->get_description();
      CHECK((!option->get_default_str().empty() || help.find("default: ") != help.npos ||
             help.find(kTokenizerRule) != help.npos));
    }
  }
}

TEST_CASE("train --print-config: it prints every setting as JSON and creates no directory") {
  const TemporaryDirectory temporary;
  const Words flags = {"--out", temporary / "run", "--steps", "70", "--lr", "0.25", "--precision", "f32"};
  const RestoreThreads restore;
  CLI::App app;
  Action action;
  add_train(app, action);
  parse(app, Words{"train", "--print-config", "--threads", "1"} + flags);
  const Captured out(std::cout);
  REQUIRE(action() == 0);
  json printed = json::parse(out.text());
  CHECK(printed["out"] == temporary / "run");
  CHECK(printed["threads"] == 1);
  CHECK(printed["stories"] ==
        json{{"directory", temporary / "run/data"}, {"train_tokens", 4'000'000}, {"val_tokens", 100'000}});
  for (const char* key : {"out", "threads", "stories"}) printed.erase(key);
  CHECK(printed == json(resolve_words(flags)));
  CHECK(printed["steps"] == 70);
  CHECK(printed["warmup"] == 7);
  CHECK_FALSE(std::filesystem::exists(temporary / "run"));
}

}  // namespace
}  // namespace inkling
