// Every flag whose value is a number, of every subcommand: its range, tested on both sides, and values that
// are no number. A flag of a number that is not in the table fails the test.
#include <cmath>
#include <map>
#include <set>

#include "apps/command_line.h"
#include "apps/number_flag.h"
#include "tests/apps/command_line.h"

namespace inkling {
namespace {

using namespace inkling::test;

// The number next below or above `least` or `most` is written out, because it may not fit into a number.
struct Bounds {
  std::string below, least, most, above;
  bool whole = true;  // only whole numbers are accepted
};

const std::string kMost = "2147483648", kAboveMost = "2147483649";
const Bounds kThreads = {"0", "1", "1024", "1025"};
const Bounds kFromOne = {"0", "1", kMost, kAboveMost}, kFromZero = {"-1", "0", kMost, kAboveMost};
const Bounds kDim = {"0", "1", "1048576", "1048577"};
const Bounds kFromOneTo2To40 = {"0", "1", "1099511627776", "1099511627777"};
const Bounds kSeed = {"-1", "0", "18446744073709551615", "18446744073709551616"};
const Bounds kGradAccum = {"0", "1", "67108864", "67108865"};
const Bounds kShare = {"-1e-9", "0", "0.999999", "1", false};
const Bounds kToThousand = {"-0.001", "0", "1000", "1000.5", false};

const std::map<std::string, std::map<std::string, Bounds>>& table() {
  static const std::map<std::string, std::map<std::string, Bounds>> all = {
      {"train",
       {{"batch-size", kFromOne},
        {"replicas", {"0", "1", "4096", "4097"}},
        {"seq-len", kFromOne},
        {"layers", kDim},
        {"heads", kDim},
        {"channels", kDim},
        {"max-seq-len", kDim},
        {"vocab-size", kDim},
        {"steps", kFromOne},
        {"grad-accum", kGradAccum},
        {"lr", kToThousand},
        {"min-lr", kToThousand},
        {"warmup", kFromZero},
        {"weight-decay", kToThousand},
        {"beta1", kShare},
        {"beta2", kShare},
        {"eps", {"0", "1e-30", "1", "1.01", false}},
        {"momentum", kShare},
        {"grad-clip", {"-1", "0", "1e9", "1.1e9", false}},
        {"local-steps", kFromZero},
        {"outer-lr", kToThousand},
        {"outer-momentum", kShare},
        {"threads", kThreads},
        {"seed", kSeed},
        {"val-every", kFromZero},
        {"val-batches", kFromOne},
        {"sample-every", kFromZero},
        {"save-every", kFromZero}}},
      {"generate",
       {{"max-tokens", kFromOneTo2To40},
        {"temperature", kToThousand},
        {"top-k", {"-1", "0", "1099511627776", "1099511627777"}},
        {"top-p", {"0", "1e-06", "1", "1.1", false}},
        {"seed", kSeed},
        {"min-p", {"-0.001", "0", "1", "1.1", false}},
        {"repetition-penalty", {"0.009", "0.01", "1000", "1000.5", false}},
        {"num-samples", kFromOneTo2To40},
        {"threads", kThreads}}},
      {"chat",
       {{"max-tokens", kFromOneTo2To40},
        {"temperature", kToThousand},
        {"top-k", {"-1", "0", "1099511627776", "1099511627777"}},
        {"top-p", {"0", "1e-06", "1", "1.1", false}},
        {"min-p", {"-0.001", "0", "1", "1.1", false}},
        {"repetition-penalty", {"0.009", "0.01", "1000", "1000.5", false}},
        {"seed", kSeed},
        {"threads", kThreads}}},
      {"tokenize",
       {{"seq-len", {"1", "2", "1048576", "1048577"}},
        {"val-fraction", {"-0.1", "0", "0.5", "0.51", false}},
        {"vocab-size", {"256", "257", "1048576", "1048577"}},
        {"shard-tokens", {"1023", "1024", "1099511627776", "1099511627777"}},
        {"threads", kThreads}}},
      {"eval",
       {{"batch-size", kFromOne},
        {"seq-len", kFromOne},
        {"stride", kFromOne},
        {"batches", kFromOne},
        {"threads", kThreads}}},
      {"explain",
       {{"top", {"-1", "0", "1000", "1001"}},
        {"seq-len", kFromOne},
        {"stride", kFromOne},
        {"threads", kThreads}}},
      {"lesson", {{"seed", kSeed}, {"threads", kThreads}}},
      {"info",
       {{"layers", kDim},
        {"heads", kDim},
        {"channels", kDim},
        {"max-seq-len", kDim},
        {"vocab-size", kDim},
        {"batch-size", kFromOne},
        {"seq-len", kFromOne},
        {"grad-accum", kGradAccum},
        {"ranks", {"0", "1", "4096", "4097"}},
        {"bandwidth", {"1e-7", "1e-6", "1e6", "1.1e6", false}},
        {"latency", {"-1", "0", "1e6", "1.1e6", false}},
        {"local-steps", kFromZero},
        {"step-ms", {"-1", "0", "1e9", "1.1e9", false}},
        {"threads", kThreads}}},
      {"inspect",
       {{"from", {"-1", "0", "1125899906842624", "1125899906842625"}},
        {"tokens", {"0", "1", "1073741824", "1073741825"}},
        {"seq-len", {"1", "2", "1048576", "1048577"}}}},
      {"story-chats",
       {{"stories", {"0", "1", "100000000", "100000001"}},
        {"train", {"0", "1", "100000000", "100000001"}},
        {"held-out", {"0", "1", "100000000", "100000001"}},
        {"seed", kSeed}}},
      {"convert", {}},
      {"report", {}},
      {"verify", {{"threads", kThreads}}}};
  return all;
}

// The flags that a subcommand requires.
const std::map<std::string, Words> kRequired = {
    {"generate", {"--model", "m"}}, {"explain", {"--model", "m"}},
    {"chat", {"--model", "m"}},     {"tokenize", {"--input", "i", "--out", "o"}},
    {"inspect", {"f.jsonl", "--show"}},   {"eval", {"--model", "m", "--data", "d"}}};

Action parse(const std::string& command, const Words& flags) {
  Words words = {"inkling", command};
  if (kRequired.contains(command)) words = words + kRequired.at(command);
  words = words + flags;
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  return parse_command_line(static_cast<int>(argv.size()), argv.data());
}

// The text of the UsageError that this command line gives.
std::string refusal(const std::string& command, const Words& flags) {
  try {
    parse(command, flags);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "accepted";
}

template <class F>
void for_each_flag(F&& f) {
  for (const auto& [command, flags] : table()) {
    for (const auto& [flag, bounds] : flags) f(command, "--" + flag, bounds);
  }
}

TEST_CASE("number flags: both ends of a flag's range are accepted") {
  for_each_flag([](const std::string& command, const std::string& flag, const Bounds& bounds) {
    for (const std::string& value : {bounds.least, bounds.most}) {
      INFO(command << " " << flag << " " << value);
      CHECK(refusal(command, {flag, value}) == "accepted");
    }
  });
}

TEST_CASE(
    "number flags: what is outside of the range, or no number, is refused with the flag, the range and the "
    "value") {
  for_each_flag([](const std::string& command, const std::string& flag, const Bounds& bounds) {
    for (const std::string& value :
         {bounds.below, bounds.above, std::string("many"), std::string("99999999999999999999999"),
          std::string("-99999999999999999999999"), std::string("1e999"), std::string("nan"),
          std::string("inf"), std::string("1x"), std::string(" 1"), std::string("1 "), std::string("0x1")}) {
      const std::string message = refusal(command, {flag, value});
      INFO(command << " " << flag << " " << value << ": " << message);
      CHECK(message.starts_with(flag + " is " + value + ", expected a "));
      CHECK_THAT(message, contains("number from ") && !contains("\n"));
    }
    const std::string message = refusal(command, {flag, ""});
    CHECK(message.starts_with(flag + " is empty, expected a "));
    if (bounds.whole) {
      CHECK_THAT(message, contains("whole number from " + bounds.least + " to " + bounds.most));
      CHECK(refusal(command, {flag, "1.5"}).starts_with(flag + " is 1.5, expected a whole number"));
    }
  });
}

TEST_CASE("number flags: a missing value, and a flag that is given twice, are refused in plain words") {
  for_each_flag([](const std::string& command, const std::string& flag, const Bounds& bounds) {
    CHECK(refusal(command, {flag}).starts_with(flag + " needs a value"));
    CHECK(refusal(command, {flag, bounds.least, flag, bounds.most}).starts_with(flag + " is given twice"));
  });
  CHECK_THAT(refusal("train", {"--resume", "--resume"}), contains("--resume is given twice"));
  CHECK_THAT(refusal("train", {"--shuffle", "--no-shuffle"}),
             contains("--shuffle or --no-shuffle is given twice"));
  CHECK_THAT(refusal("generate", {"--prompt", "a", "--prompt", "b", "--prompt", "c"}),
             contains("--prompt is given several times"));
}

TEST_CASE("number flags: a switch that is given a value is refused with its name") {
  for (const auto& [command, word] : {std::pair{"train", "--shuffle=maybe"},
                                      {"train", "--no-shuffle=1"},
                                      {"train", "--stories=hello"},
                                      {"train", "--loss-mask=3"},
                                      {"train", "--recompute=99999999999999999999"},
                                      {"train", "--resume="},
                                      {"eval", "--documents=x"},
                                      {"generate", "--greedy=true"}}) {
    const std::string flag = std::string(word).substr(0, std::string(word).find('='));
    CHECK(refusal(command, {word}) == str(flag, " takes no value, got ", word));
  }
  CHECK(refusal("train", {"--steps=5"}) == "accepted");
}

TEST_CASE("number flags: a whole number with zeros in front is decimal") {
  CHECK_THAT(refusal("train", {"--threads", "02000"}), contains("--threads is 02000"));
  CHECK(parse_train({"--steps", "010"}).flags.given["steps"] == 10);
}

TEST_CASE("number flags: --prompt-tokens takes whole numbers, separated by single commas") {
  for (const char* value : {"0", "1,2,3", "2147483647"})
    CHECK(refusal("generate", {"--prompt-tokens", value}) == "accepted");
  CHECK_THAT(refusal("generate", {"--prompt-tokens", ""}),
             contains("--prompt-tokens is empty, expected token ids from 0 to "));
  for (const std::string value :
       {",", "1,", ",1", "1,,2", "-1", "2147483648", "a", "1, 2", "1.5", "99999999999999999999"})
    CHECK_THAT(refusal("generate", {"--prompt-tokens", value}),
               contains("--prompt-tokens is " + value + ", expected token ids from 0 to 2147483647"));
}

TEST_CASE("number flags: the table above has every flag whose value is a number") {
  CLI::App app;
  Action action;
  add_train(app, action);
  add_commands_but_train(app, action);
  for (const CLI::App* command : app.get_subcommands({})) {
    std::set<std::string> flags, tested;
    for (const CLI::Option* option : command->get_options()) {
      const std::string type = option->get_type_name();
      if (type.find("INT") != std::string::npos || type.find("FLOAT") != std::string::npos)
        flags.insert(option->get_single_name());
    }
    for (const auto& [flag, bounds] : table().at(command->get_name())) tested.insert(flag);
    INFO(command->get_name());
    CHECK(flags == tested);
  }
}

}  // namespace
}  // namespace inkling
