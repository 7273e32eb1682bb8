// The text of a model on a terminal and in a pipe, piece by piece.
#include "apps/run/terminal_text.h"

#include "tests/catch.h"

namespace inkling {
namespace {

const Terminal kUtf8{.columns = 80, .redraws = true, .utf8 = true};
const Terminal kAscii{.columns = 80, .redraws = true, .utf8 = false};
const Terminal kPipe{.columns = 0, .redraws = false, .utf8 = true};

using namespace std::string_literals;

TEST_CASE("terminal text: every control character except line break and tab is shown as an escape") {
  for (int c = 0; c < 128; ++c) {
    const std::string text(1, static_cast<char>(c));
    INFO(c);
    const bool control = (c < 32 && c != '\n' && c != '\t') || c == 127;
    CHECK((terminal_text(kUtf8, text) == text) == !control);
    CHECK(terminal_text(kAscii, text) == terminal_text(kUtf8, text));
    CHECK(terminal_text(kPipe, text) == text);
  }
  CHECK(terminal_text(kUtf8, "\x1b[31m\a\0\r\x7f"s) == "\\x1b[31m\\x07\\x00\\x0d\\x7f");
  // C1: U+009B is a control sequence introducer, like ESC [. U+00A0 is a space.
  CHECK(terminal_text(kUtf8, "\u0080\u009b\u009f\u00a0") == "\\xc2\\x80\\xc2\\x9b\\xc2\\x9f\u00a0");
}

TEST_CASE(
    "terminal text: characters of UTF-8 are shown where the terminal can, all other bytes are escapes") {
  const std::string text = "aé€😀\U0010ffff";
  CHECK(terminal_text(kUtf8, text) == text);
  CHECK(terminal_text(kPipe, text) == text);
  CHECK(terminal_text(kAscii, "aé€") == "a\\xc3\\xa9\\xe2\\x82\\xac");
  // A lone continuation byte, a character of two bytes that fits into one, a surrogate, U+110000, 0xff.
  const std::string wrong =
      "\x9b"
      "\xc0\x80"
      "\xe0\x80\x80"
      "\xed\xa0\x80"
      "\xf4\x90\x80\x80"
      "\xff"
      "a";
  CHECK(terminal_text(kUtf8, wrong) ==
        "\\x9b\\xc0\\x80\\xe0\\x80\\x80\\xed\\xa0\\x80\\xf4\\x90\\x80\\x80\\xffa");
  CHECK(terminal_text(kPipe, wrong) == wrong);
  CHECK(terminal_text(kUtf8, "\xe2\x82(") == "\\xe2\\x82(");  // a character that another one interrupts
}

TEST_CASE("terminal text: an incomplete character is held back until it is complete, also in a pipe") {
  for (const Terminal& terminal : {kUtf8, kPipe}) {
    TerminalText text(terminal);
    CHECK(text.push("a\xf0") == "a");
    CHECK(text.push("\x9f") == "");
    CHECK(text.push("\x98") == "");
    CHECK(text.push("\x80!\xc3") == "😀!");
    CHECK(text.push("\xa9") == "é");
    CHECK(text.finish() == "");
  }
}

TEST_CASE("terminal text: a character that is incomplete at the end is an escape, and raw in a pipe") {
  TerminalText shown(kUtf8), raw(kPipe);
  CHECK(shown.push("\xe2\x82") + raw.push("\xe2\x82") == "");
  CHECK(shown.finish() == "\\xe2\\x82");
  CHECK(raw.finish() == "\xe2\x82");
  CHECK(shown.finish() + raw.finish() == "");
}

TEST_CASE("terminal text: pieces of any length give the same text as the whole") {
  const std::string whole =
      "\x1b"
      "aé€😀\xe2\x82\xc3\xc3\xa9\xf0\x9f\x98(\n\x9b\xed\xa0\x80 end\xf0\x9f";
  for (const Terminal& terminal : {kUtf8, kAscii, kPipe}) {
    for (std::size_t length = 1; length < whole.size(); ++length) {
      TerminalText text(terminal);
      std::string all;
      for (std::size_t at = 0; at < whole.size(); at += length) all += text.push(whole.substr(at, length));
      CHECK(all + text.finish() == terminal_text(terminal, whole));
    }
  }
  CHECK(terminal_text(kPipe, whole) == whole);
}

}  // namespace
}  // namespace inkling
