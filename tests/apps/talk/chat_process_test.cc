// inkling chat as a process: with a pipe, with /dev/null, on a terminal, and with Ctrl-C and Ctrl-D.
#include <poll.h>
#include <sys/stat.h>

#include "apps/tokenizer/tokenizer.h"
#include "nn/checkpoint.h"
#include "tests/apps/pseudo_terminal.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Writes a model of bytes with random weights, and its tokenizer.
std::string write_model(const TemporaryDirectory& temporary, std::int64_t maxT) {
  GPT2 model({.max_seq_len = maxT, .vocab_size = 257, .layers = 1, .heads = 1, .channels = 8});
  model.initialise(3);
  save_model(temporary / "model.bin", model.config(), model.parameters().values());
  Tokenizer::bytes().write(temporary / "tokenizer.bin");
  return temporary / "model.bin";
}

// Writes a model that repeats one byte, the control character ESC, and never ends its answer.
void write_endless_model(const TemporaryDirectory& temporary) {
  GPT2 model({.max_seq_len = 400'000, .vocab_size = 257, .layers = 1, .heads = 1, .channels = 8});
  std::fill(model.parameters().values().begin(), model.parameters().values().end(), 0.0f);
  model.parameters().values_of(kWte)[27 * 8] = 1;
  model.parameters().values_of(kLnfb)[0] = 100;
  save_model(temporary / "model.bin", model.config(), model.parameters().values());
  Tokenizer::bytes().write(temporary / "tokenizer.bin");
}

Outcome chat(const TemporaryDirectory& temporary, const std::string& input,
             const std::vector<std::string>& flags = {}) {
  write_text(temporary / "input", input);
  return run(
      std::vector<std::string>{"chat", "--model", temporary / "model.bin", "--max-tokens", "4"} + flags, 60,
      temporary / "input");
}

TEST_CASE("chat process: in a pipe each line is a message, and stdout has only the answers") {
  const TemporaryDirectory temporary;
  write_model(temporary, 200);
  const Outcome one = chat(temporary, "Hello\n"), two = chat(temporary, "Hello\r\n\n/top-k 5\nBye");
  CHECK(one.status == 0);
  CHECK(one.out.size() >= 2);
  CHECK_THAT(one.err, !contains("> "));
  CHECK(two.status == 0);
  CHECK(two.out.starts_with(one.out));
  CHECK(two.out.size() > one.out.size());
  CHECK_THAT(two.err, contains("(top-k is 5)"));
  CHECK(chat(temporary, "").out.empty());
  const Outcome nothing = run({"chat", "--model", temporary / "model.bin"}, 60, "/dev/null");
  CHECK(nothing.status == 0);
  CHECK(nothing.out.empty());
}

TEST_CASE("chat process: a wrong line is one line on stderr and status 1; the other lines are answered") {
  const TemporaryDirectory temporary;
  write_model(temporary, 64);
  const std::string one = chat(temporary, "Hello\n").out;
  const std::string long_line((1 << 20) + 5000, 'm');
  for (const std::string& wrong : {std::string("/nothing"), std::string(100, 'm'), long_line}) {
    const Outcome outcome = chat(temporary, str(wrong, "\nHello\n"));
    CHECK(outcome.status == 1);
    CHECK(outcome.out == one);
    CHECK_THAT(outcome.err, Catch::Matchers::StartsWith("inkling: "));
  }
  CHECK_THAT(chat(temporary, str(long_line, "\nHello\n")).err,
             contains("the line is too long, expected at most 1048576 bytes"));
}

TEST_CASE("chat process: flags set the system text, the sampler and the seed as commands do") {
  const TemporaryDirectory temporary;
  write_model(temporary, 200);
  const std::string plain = chat(temporary, "Hello\n").out;
  const auto same = [&](const std::vector<std::string>& flags, const std::string& commands) {
    const Outcome with_flags = chat(temporary, "Hello\n", flags),
                  typed = chat(temporary, commands + "Hello\n");
    CHECK(with_flags.out == typed.out);
    CHECK(with_flags.out != plain);
  };
  same({"--system", "Be brief."}, "/system Be brief.\n");
  same({"--seed", "9"}, "/seed 9\n");
  same({"--greedy"}, "/temperature 0\n");
  same({"--temperature", "0.05"}, "/temperature 0.05\n");
  CHECK(chat(temporary, "Hello\n", {"--threads", "1"}).out == plain);
  CHECK(chat(temporary, "Hello\n", {"--repetition-penalty", "1000"}).out != plain);
}

TEST_CASE("chat process: without a tokenizer, or with one of another size, it stops with one line") {
  const TemporaryDirectory temporary;
  expect({"chat", "--model", "tests/goldens/small.bin"}, 2,
         {"chat needs a tokenizer, but there is none beside tests/goldens/small.bin; without --tokenizer, the first of these"});
  write_model(temporary, 64);
  expect({"chat", "--model", "tests/goldens/small.bin", "--tokenizer", temporary / "tokenizer.bin"}, 1,
         {"the tokenizer has 257 tokens, the model tests/goldens/small.bin has 131"});
}

// A named pipe as stdin of the process.
struct NamedPipe {
  explicit NamedPipe(const std::string& name) : path(name) { mkfifo(name.c_str(), 0600); }
  void open_for_writing() { fd = open(path.c_str(), O_WRONLY); }
  void write_line(const std::string& line) const {
    REQUIRE(write(fd, (line + "\n").data(), line.size() + 1) == std::ssize(line) + 1);
  }
  ~NamedPipe() { close_end(); }
  void close_end() {
    if (fd >= 0) close(fd);
    fd = -1;
  }
  std::string path;
  int fd = -1;
};

TEST_CASE("chat process: Ctrl-C stops an answer but not the program") {
  const TemporaryDirectory temporary;
  write_endless_model(temporary);
  NamedPipe input(temporary / "pipe");
  Process process({"chat", "--model", temporary / "model.bin", "--max-tokens", "1000000"}, 100, input.path);
  input.open_for_writing();
  std::size_t before = 0;
  for (int answer = 0; answer < 2; ++answer) {
    input.write_line("Hello");
    process.watch([&] { return process.out_so_far().size() > before + 10; });
    process.send(SIGINT);
    const std::string said = "(stopped)";
    process.watch([&] {
      const std::string notes = process.err_so_far();
      return notes.find(said) != std::string::npos && (answer == 0 || notes.find(said) != notes.rfind(said));
    });
    before = process.out_so_far().size();
  }
  input.close_end();
  const Outcome outcome = process.wait();
  CHECK(outcome.status == 0);
  CHECK(outcome.out.size() == before);
}

TEST_CASE("chat process: Ctrl-C while a pipe is silent ends the program with status 130") {
  const TemporaryDirectory temporary;
  write_model(temporary, 64);
  NamedPipe input(temporary / "pipe");
  Process process({"chat", "--model", temporary / "model.bin", "--max-tokens", "4"}, 100, input.path);
  input.open_for_writing();
  input.write_line("/help");
  process.watch([&] { return process.err_so_far().find("Ctrl-D leaves") != std::string::npos; });
  // The signal may arrive just before the process waits, so it is sent until the process ends.
  process.watch([&] {
    process.send(SIGINT);
    return false;
  });
  CHECK(process.wait().status == 128 + SIGINT);
}

// Reads from a terminal until `text` was printed, or nothing was printed for a minute.
std::string read_until(int master, const std::string& text) {
  std::string all;
  char byte = 0;
  pollfd ready = {.fd = master, .events = POLLIN, .revents = 0};
  while (!all.ends_with(text) && poll(&ready, 1, 60'000) == 1 && read(master, &byte, 1) == 1) all += byte;
  return all;
}

TEST_CASE(
    "chat process: on a terminal Ctrl-C keeps the program, Ctrl-D leaves, and control characters are "
    "escaped") {
  const TemporaryDirectory temporary;
  write_endless_model(temporary);
  const Environment locale("LC_ALL", "C");
  PseudoTerminal terminal;
  termios settings = {};
  tcgetattr(terminal.slave, &settings);
  // Lines, and keys that send signals. Without NOFLSH, Ctrl-C would also drop output that the test did not
  // read yet.
  settings.c_lflag |= ICANON | ISIG | NOFLSH;
  tcsetattr(terminal.slave, TCSANOW, &settings);
  const std::string program = binary(), model = temporary / "model.bin";
  const pid_t child = fork();
  if (child == 0) {
    alarm(100);
    setsid();
    const int own = open(ptsname(terminal.master), O_RDWR);  // becomes the controlling terminal
    for (const int fd : {0, 1, 2}) dup2(own, fd);
    execl(program.c_str(), program.c_str(), "chat", "--model", model.c_str(), "--max-tokens", "1000000",
          static_cast<char*>(nullptr));
    _exit(127);
  }
  terminal.close_slave();
  const auto type = [&](const std::string& keys) {
    REQUIRE(write(terminal.master, keys.data(), keys.size()) == std::ssize(keys));
  };
  CHECK_THAT(read_until(terminal.master, "> "), contains("> "));
  type("\x03");  // Ctrl-C at the prompt
  CHECK_THAT(read_until(terminal.master, "> "), contains("(Ctrl-D leaves)"));
  type("Hello\n");
  const std::string answer = read_until(terminal.master, "\\x");
  CHECK(answer.size() > 1);
  type("\x03");  // Ctrl-C in an answer
  const std::string rest = read_until(terminal.master, "(stopped)\n> ");
  CHECK_THAT(rest, contains("(stopped)"));
  for (const char c : answer + rest) CHECK((c == '\n' || c == '\t' || (c >= 32 && c < 127)));
  type("\x04");  // Ctrl-D
  read_until(terminal.master, "end of the output");
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace inkling
