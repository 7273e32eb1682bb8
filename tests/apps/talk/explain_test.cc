// inkling explain: its numbers are those of the model, and its table fits every terminal.
#include <nlohmann/json.hpp>

#include "apps/talk/explanation.h"
#include "apps/tokenizer/tokenizer.h"
#include "nn/checkpoint.h"
#include "tests/apps/pseudo_terminal.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using nlohmann::json;

constexpr double kSameLoss = 1e-5;  // relative; the model's own loss is summed in float

TEST_CASE("explain: each loss is the model's, and the top tokens are the likeliest") {
  GPT2 model = load_model("tests/goldens/small.bin");
  std::vector<std::int32_t> ids;
  for (std::int32_t i = 0; i < 25; ++i) ids.push_back((i * 29 + 3) % 131);  // maxT + 1 tokens
  const std::vector<ExplainedPosition> positions = explain(model, ids, 5);
  REQUIRE(positions.size() == 24);
  std::vector<std::int32_t> inputs(ids.begin(), ids.end() - 1), targets(ids.begin() + 1, ids.end());
  std::vector<float> losses(24);
  Tape tape(Recording::off);
  model.token_losses(tape, Tensor(inputs.data(), {1, 24}), Tensor(targets.data(), {1, 24}), losses.data());
  double sum = 0;
  for (std::size_t t = 0; t < positions.size(); ++t) {
    const ExplainedPosition& position = positions[t];
    CHECK(position.token == inputs[t]);
    CHECK(position.target.id == targets[t]);
    CHECK(position.loss == approx(losses[t]).epsilon(kSameLoss));
    CHECK(position.target.probability == approx(std::exp(-position.loss)));
    REQUIRE(position.top.size() == 5);
    for (std::size_t i = 1; i < 5; ++i) CHECK(position.top[i - 1].probability >= position.top[i].probability);
    sum += position.loss;
  }
  CHECK(mean_loss(positions) == approx(sum / 24));
  // With all 131 tokens, the probabilities sum to 1, and the target is among them with its own probability.
  const std::vector<ExplainedPosition> whole = explain(model, ids, 1000);
  double total = 0;
  for (const Prediction& prediction : whole[7].top) {
    total += prediction.probability;
    if (prediction.id == targets[7]) CHECK(prediction.probability == whole[7].target.probability);
  }
  CHECK(whole[7].top.size() == 131);
  CHECK(total == approx(1.0));
}

TEST_CASE("explain: of equally likely tokens the lower ids come first") {
  GPT2 model({.max_seq_len = 4, .vocab_size = 9, .layers = 1, .heads = 1, .channels = 8});
  std::fill(model.parameters().values().begin(), model.parameters().values().end(), 0.0f);
  const std::vector<std::int32_t> ids = {8, 3};
  const ExplainedPosition position = explain(model, ids, 3)[0];
  for (std::int32_t i = 0; i < 3; ++i) CHECK(position.top[static_cast<std::size_t>(i)].id == i);
  CHECK(position.loss == approx(std::log(9.0)));
}

// Writes tests/goldens/small.bin's copy with a tokenizer whose tokens are odd: halves of characters, control
// characters, and characters outside ASCII.
std::string write_model(const TemporaryDirectory& temporary) {
  std::vector<std::string> tokens;
  for (int id = 0; id < 131; ++id)
    tokens.push_back(id < 128 ? std::string(1, static_cast<char>(id)) : "\xc3\xa9");
  Tokenizer(tokens, 130).write(temporary / "tokenizer.bin");
  write_text(temporary / "model.bin", read_text("tests/goldens/small.bin"));
  return temporary / "model.bin";
}

TEST_CASE("explain: --json has the numbers of every position") {
  const TemporaryDirectory temporary;
  const std::string path = write_model(temporary);
  const Outcome outcome = run({"explain", "--model", path, "--text", "abc", "--json", "--top", "2"});
  REQUIRE(outcome.status == 0);
  const json result = json::parse(outcome.out);
  GPT2 model = load_model(path);
  const std::vector<ExplainedPosition> want =
      explain(model, std::vector<std::int32_t>{130, 'a', 'b', 'c'}, 2);
  CHECK(result.at("loss").get<double>() == approx(mean_loss(want)));
  CHECK(result.at("perplexity").get<double>() == approx(std::exp(mean_loss(want))));
  REQUIRE(result.at("positions").size() == 3);
  for (std::size_t t = 0; t < 3; ++t) {
    const json& row = result.at("positions").at(t);
    CHECK(row.at("position") == t);
    CHECK(row.at("token").at("id") == want[t].token);
    CHECK(row.at("target").at("id") == want[t].target.id);
    CHECK(row.at("target").at("text") == std::string(1, static_cast<char>('a' + t)));
    CHECK(row.at("target").at("probability").get<double>() == approx(want[t].target.probability));
    CHECK(row.at("loss").get<double>() == approx(want[t].loss));
    REQUIRE(row.at("top").size() == 2);
    CHECK(row.at("top").at(1).at("id") == want[t].top[1].id);
  }
  CHECK(run({"explain", "--model", path, "--text", "abc", "--json", "--top", "2", "--threads", "1"}).out ==
        outcome.out);
  write_text(temporary / "text", "abc");
  CHECK(run({"explain", "--model", path, "--text-file", temporary / "text", "--json", "--top", "2"}).out ==
        outcome.out);
}

constexpr unsigned short kWide = 9999;  // a terminal that has room for 131 likeliest tokens in a line

TEST_CASE("explain: the table has colours only on a terminal without NO_COLOR, and only ASCII if needed") {
  const TemporaryDirectory temporary;
  const std::vector<std::string> command = {
      "explain", "--model", write_model(temporary), "--text", "a\x1b\xc3\xa9\n", "--top", "131"};
  const Environment type("TERM", "xterm");
  const auto is_ascii = [](const std::string& text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
  };
  for (const char* locale : {"C.UTF-8", "C"}) {
    const Environment environment("LC_ALL", locale);
    const std::string piped = run(command).out;
    CHECK(piped.find('\x1b') == std::string::npos);
    CHECK_THAT(piped, contains("\"\\x1b\"") && contains("\"\\n\"") && contains("mean loss "));
    CHECK(std::count(piped.begin(), piped.end(), '\n') == 6);  // a title, 4 positions, the means
    CHECK(is_ascii(piped) == (locale == std::string("C")));
    CHECK_THAT(piped, contains(locale == std::string("C") ? "\"\\xc3\\xa9\"" : "\"\xc3\xa9\""));
    const std::string coloured = run_on_terminal(command, kWide).out;
    CHECK_THAT(coloured, contains("\x1b[31m") && contains("\x1b[0m"));
    std::string plain;
    {
      const Environment no_colour("NO_COLOR", "1");
      plain = run_on_terminal(command, kWide).out;
    }
    CHECK(plain == piped);
    // Without its escape codes, the coloured table is the plain one.
    std::string uncoloured;
    for (std::size_t i = 0; i < coloured.size(); ++i) {
      if (coloured[i] == '\x1b')
        i = coloured.find('m', i);
      else
        uncoloured += coloured[i];
    }
    CHECK(uncoloured == plain);
  }
}

TEST_CASE("explain: wrong texts are refused with one line") {
  const TemporaryDirectory temporary;
  const std::string model = write_model(temporary);
  expect({"explain", "--model", model, "--text", std::string(25, 'a'), "--html", temporary / "page.html"}, 2,
         {"the text has 25 tokens, expected at most 24 for --html"});
  expect({"explain", "--model", model, "--text", "a", "--seq-len", "25"}, 2, {"--seq-len is 25", "24"});
  expect({"explain", "--model", model, "--text", "a", "--seq-len", "5", "--stride", "6"}, 2,
         {"--stride is 6, expected at most --seq-len, which is 5"});
  expect({"explain", "--model", model}, 2, {"the text is empty"});
  expect({"explain", "--model", model, "--text", "\xff"}, 1, {"fits the text at byte 0"});
  expect({"explain", "--model", model, "--text-file", temporary / "none"}, 1, {"none"});
  expect({"explain", "--model", "tests/goldens/small.bin", "--text", "a"}, 2, {"explain needs a tokenizer"});
}

TEST_CASE("explain: a text that is longer than the context is explained in windows, with eval's loss") {
  const TemporaryDirectory temporary;
  const std::string model = write_model(temporary);
  std::string text;
  for (int i = 0; i < 60; ++i) text += static_cast<char>('a' + i * i % 26);
  write_text(temporary / "text", text);
  REQUIRE(run({"tokenize", "--input", temporary / "text", "--tokenizer", temporary / "tokenizer.bin",
               "--val-fraction", "0", "--out", temporary / "my"})
              .status == 0);
  struct Row {
    std::vector<std::string> flags;
    std::int64_t T, stride;
  };
  for (const Row& row : {Row{{}, 24, 24},
                         {{"--stride", "7"}, 24, 7},
                         {{"--seq-len", "10", "--stride", "1"}, 10, 1},
                         {{"--seq-len", "10"}, 10, 10}}) {
    const Outcome explained =
        run(std::vector<std::string>{"explain", "--model", model, "--text", text, "--json", "--top", "0"} +
            row.flags);
    INFO(explained.err);
    REQUIRE(explained.status == 0);
    const json result = json::parse(explained.out);
    const json eval = json::parse(run(std::vector<std::string>{"eval", "--model", model, "--data",
                                                               temporary / "my_train.bin", "--json"} +
                                      row.flags)
                                      .out);
    CHECK(result.at("loss").get<double>() == approx(eval.at("loss").get<double>()).epsilon(kSameLoss));
    CHECK(result.at("context") == row.T);
    CHECK(result.at("stride") == row.stride);
    const json& positions = result.at("positions");
    REQUIRE(positions.size() == 60);
    for (std::int64_t t = 0; t < 60; ++t) {
      CHECK(positions.at(static_cast<std::size_t>(t)).at("target").at("text") ==
            std::string(1, text[static_cast<std::size_t>(t)]));
      // After the first window, a window starts every `stride` targets.
      const std::int64_t want = t < row.T ? t + 1 : row.T - row.stride + 1 + (t - row.T) % row.stride;
      CHECK(positions.at(static_cast<std::size_t>(t)).at("context") == want);
    }
    const std::string table =
        run(std::vector<std::string>{"explain", "--model", model, "--text", text} + row.flags).out;
    CHECK_THAT(table, contains("windows of " + std::to_string(row.T) + " tokens, stride " +
                               std::to_string(row.stride) + "; each token is scored once\n"));
    if (row.stride > 1)
      CHECK_THAT(table, contains("--------  a window begins: here the context has " +
                                 std::to_string(row.T - row.stride + 1) + " token"));
  }
}

TEST_CASE("explain: end-of-text is shown as the special token, and text that looks like it in quotes") {
  const TemporaryDirectory temporary;
  write_text(temporary / "model.bin", read_text("tests/goldens/small.bin"));
  std::vector<std::string> tokens(131, "<|endoftext|>");
  for (std::size_t id = 0; id < 129; ++id) tokens[id] = str("t", id, ".");
  Tokenizer(tokens, 130).write(temporary / "tokenizer.bin");
  const std::vector<std::string> command = {
      "explain", "--model", temporary / "model.bin", "--text", "<|endoftext|>t1.", "--top", "1"};
  const std::string shown = run(command).out;
  CHECK_THAT(shown, contains("       0  <|endoftext|>    \"<|endoftext|>\" "));
  CHECK_THAT(shown, contains("       1  \"<|endoftext|>\"  \"t1.\" "));
  CHECK_THAT(shown, contains(", 2 positions\n"));
  const json positions = json::parse(run(command + std::vector<std::string>{"--json"}).out).at("positions");
  CHECK(positions.at(0).at("token").at("special") == true);
  CHECK_FALSE(positions.at(1).at("token").contains("special"));
  CHECK_THAT(run({"explain", "--model", temporary / "model.bin", "--text", "t1."}).out,
             contains(", 1 position\n"));
}

TEST_CASE("explain: on a narrow terminal every line fits, and the likeliest tokens are still there") {
  const TemporaryDirectory temporary;
  const std::string model = write_model(temporary);
  const Environment type("TERM", "dumb"), locale("LC_ALL", "C");
  for (const unsigned short columns : std::initializer_list<unsigned short>{80, 60, 40}) {
    const std::string shown =
        run_on_terminal({"explain", "--model", model, "--text", std::string(30, 'a') + "\x1b\xc3\xa9"},
                        columns)
            .out;
    std::istringstream lines(shown);
    std::size_t likeliest = 0;
    for (std::string line; std::getline(lines, line);) {
      INFO(line);
      CHECK(line.size() <= columns);
      for (const char* end : {"\" 0.", "|> 0."}) {
        for (std::size_t at = line.find(end); at != line.npos; at = line.find(end, at + 1)) ++likeliest;
      }
    }
    CHECK(likeliest == 32 * 5);
  }
}

}  // namespace
}  // namespace inkling
