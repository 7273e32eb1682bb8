// What the commands print on a pseudo-terminal: no control characters of a model's text, and nothing that the
// terminal cannot show.
#include <algorithm>

#include "apps/run/terminal_text.h"
#include "apps/tokenizer/tokenizer.h"
#include "tests/apps/pseudo_terminal.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 32 && c != '\n') || byte == 127;
}

bool has_controls(const std::string& text) {
  return std::any_of(text.begin(), text.end(), is_control);
}

bool is_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 128; });
}

// A tokenizer for tests/goldens/small.bin. Its tokens are letters with control characters, or with one byte
// of a character of two bytes: a token with 0xc3 and then a token with 0xa9 write an é.
void write_wild_tokenizer(const std::string& path) {
  const std::vector<std::string> before = {"", "", "", "", "", "\xa9"},
                                 after = {std::string(1, '\0'), "\a", "\x1b[31m", "\x7f", "\xc3", ""};
  std::vector<std::string> tokens;
  for (std::size_t id = 0; id < 131; ++id) {
    const std::string letter(1, static_cast<char>('@' + id / before.size()));
    tokens.push_back(before[id % before.size()] + letter + after[id % before.size()]);
  }
  Tokenizer(tokens, 130).write(path);
}

TEST_CASE("terminal output: generate shows control characters as escapes, and prints raw bytes to a pipe") {
  const TemporaryDirectory t;
  write_wild_tokenizer(t / "wild.bin");
  const std::vector<std::string> command = {"generate",    "--model",       "tests/goldens/small.bin",
                                            "--tokenizer", t / "wild.bin",  "--prompt",
                                            "@\x1b[31m",   "--ignore-end",  "--max-tokens",
                                            "400",         "--temperature", "50"};
  for (const std::vector<std::string>& flags : {std::vector<std::string>{}, {"--num-samples", "2"}}) {
    const std::string raw = run(command + flags).out;
    REQUIRE(raw.find('\0') != std::string::npos);
    REQUIRE(raw.starts_with("@\x1b[31m"));
    for (const char* locale : {"C.UTF-8", "C"}) {
      const Environment environment("LC_ALL", locale);
      const Outcome outcome = run_on_terminal(command + flags);
      CHECK(outcome.status == 0);
      CHECK_FALSE(has_controls(outcome.out));
      CHECK(is_ascii(outcome.out) == (locale == std::string("C")));
      if (flags.empty()) {
        const std::string shown =
            terminal_text({.columns = 80, .redraws = true, .utf8 = locale != std::string("C")}, raw);
        CHECK(outcome.out.starts_with(shown));
      }
    }
  }
}

TEST_CASE("terminal output: train shows samples with escapes, and stores their raw bytes") {
  const TemporaryDirectory t;
  std::string text;
  for (int document = 0; document < 500; ++document) text += "\x1b[2J\a\n<|endoftext|>\n";
  write_text(t / "text", text);
  REQUIRE(run({"tokenize", "--input", t / "text", "--out", t / "my", "--bytes"}).status == 0);
  const auto train = [&](const std::string& out) {
    return std::vector<std::string>{"train",    "--out",     t / out,      "--data",       t / "my_train.bin",
                                    "--layers", "1",         "--channels", "16",           "--heads",
                                    "2",        "--seq-len", "16",         "--batch-size", "4",
                                    "--steps",  "40",        "--lr",       "0.02",         "--precision",
                                    "f32"};
  };
  const Environment type("TERM", "dumb"), locale("LC_ALL", "C");
  const Outcome shown = run_on_terminal(train("shown"), 40);
  CHECK(shown.status == 0);
  CHECK_THAT(shown.out, contains("the model writes: ") && contains("The model writes:\n"));
  CHECK_FALSE(has_controls(shown.out));
  CHECK(is_ascii(shown.out));
  CHECK(has_controls(read_text(t / "shown/samples/step_00000040.txt")));
  const Outcome raw = run(train("raw"));
  CHECK(raw.status == 0);
  CHECK(has_controls(raw.err));
  CHECK(has_controls(raw.out));
}

TEST_CASE("terminal output: an error that quotes a control character shows it as an escape") {
  const Outcome outcome = run_on_terminal({"inspect", "\x1b[2J.bin"});
  CHECK(outcome.status == 1);
  CHECK_THAT(outcome.out, contains("\\x1b[2J.bin"));
  CHECK_FALSE(has_controls(outcome.out));
}

}  // namespace
}  // namespace inkling
