// tokenize needs little memory for any input: the most that the process had in memory, as the system reports
// it.
#include <sys/resource.h>
#include <sys/wait.h>

#include <random>

#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

// Runs inkling, and returns the largest resident set of the process in MB. Fails the test if the command
// fails.
std::int64_t peak_megabytes(std::vector<std::string> arguments) {
  const pid_t child = fork();
  if (child == 0) {
    dup2(open("/dev/null", O_WRONLY), STDOUT_FILENO);
    dup2(STDOUT_FILENO, STDERR_FILENO);
    std::string program = binary();
    std::vector<char*> argv = {program.data()};
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    _exit(127);
  }
  int status = 0;
  rusage used = {};
  wait4(child, &status, 0, &used);
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  return used.ru_maxrss / 1024;
}

constexpr std::int64_t kMostMegabytes = 300;

std::string random_words(std::size_t bytes, int letters) {
  std::mt19937 random(1);
  std::string text;
  while (text.size() < bytes) {
    for (int i = 0; i < letters; ++i) text += static_cast<char>('a' + random() % 26);
    text += ' ';
  }
  return text;
}

TEST_CASE(
    "tokenize memory: it stays below 300 MB for one letter, for one long line of JSON, and for many words") {
  const TemporaryDirectory temporary;
  // Longer than everything that is read at a time (16 MiB). A longer text needs no more memory.
  write_text(temporary / "letter.txt", std::string(std::size_t{24} << 20, 'a'));
  // More different words than are counted.
  write_text(temporary / "words.txt", random_words(std::size_t{12} << 20, 12));
  const std::string document = R"({"text": ")" + std::string(std::size_t{15} << 20, 'b') + "\"}\n";
  write_text(temporary / "line.jsonl", document);
  write_text(
      temporary / "chat.jsonl",
      R"({"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ann."}]})"
      "\n" +
          document);
  struct Row {
    const char* input;
    std::vector<std::string> flags;
  };
  for (const Row& row : {Row{"letter.txt", {}},
                         {"letter.txt", {"--bytes"}},
                         {"words.txt", {}},
                         {"line.jsonl", {"--tokenizer", "tests/goldens/gpt2_tokenizer.bin"}},
                         {"chat.jsonl", {"--bytes"}}}) {
    const std::int64_t most = peak_megabytes(
        std::vector<std::string>{"tokenize", "--input", temporary / row.input, "--out", temporary / "out"} +
        row.flags);
    INFO(row.input << " " << (row.flags.empty() ? "with a new tokenizer" : row.flags[0]) << ": " << most
                   << " MB");
    CHECK(most < kMostMegabytes);
    CHECK(most > 5);  // it was measured
  }
}

}  // namespace
}  // namespace inkling
