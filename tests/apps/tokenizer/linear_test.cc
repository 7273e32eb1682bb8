// Encoding takes time in proportion to the length of the text, also for texts that are one long piece.
//
// The times are the process's own CPU time, the least of several rounds, so other programs on the machine
// disturb them little. The bounds leave room for the rest: a quadratic algorithm would exceed them a thousand
// times.
#include <time.h>

#include <algorithm>
#include <filesystem>

#include "apps/tokenizer/tokenizer.h"
#include "core/binary_file.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;

constexpr std::size_t kMegabyte = 1 << 20;
constexpr int kRounds = 7;

double cpu_seconds() {
  timespec now = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// The seconds of encoding each text with an empty cache: the least of several rounds, in which the texts take
// turns.
std::vector<double> seconds_of(const Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  std::vector<double> least(texts.size(), 1e9);
  std::vector<std::int32_t> ids;
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < texts.size(); ++i) {
      ids.clear();
      const double start = cpu_seconds();
      TextEncoder(tokenizer).encode(texts[i], ids);
      least[i] = std::min(least[i], cpu_seconds() - start);
    }
  }
  return least;
}

// A megabyte of this project's sources.
std::string ordinary_text() {
  std::vector<std::string> files;
  for (const char* folder : {"core", "ops", "nn", "optim", "apps"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const std::string extension = entry.path().extension();
      if (extension == ".h" || extension == ".cc") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::string text;
  for (const std::string& file : files) text += FileView(file).text();
  REQUIRE(text.size() > kMegabyte);
  text.resize(kMegabyte);
  return text;
}

std::string repeated(const std::string& text) {
  std::string all;
  while (all.size() < kMegabyte) all += text;
  all.resize(kMegabyte);
  return all;
}

TEST_CASE("bpe: a megabyte of one letter, of blanks or of ^ costs at most three times ordinary text") {
  const Tokenizer gpt2 = Tokenizer::read("tests/goldens/gpt2_tokenizer.bin");
  std::vector<std::string> texts = {ordinary_text()};
  for (const char* piece : {"a", " ", "^", "\n", "ab", "0", "\xe4\xb8\xad", "aaaaaaaaab"})
    texts.push_back(repeated(piece));
  const std::vector<double> seconds = seconds_of(gpt2, texts);
  for (std::size_t i = 1; i < texts.size(); ++i) {
    INFO("text " << i << ": " << texts[i].substr(0, 10) << ", " << seconds[i] / seconds[0] << " times");
    CHECK(seconds[i] < 3 * seconds[0]);
  }
}

TEST_CASE("bpe: four times as much text takes about four times as long") {
  const Tokenizer gpt2 = Tokenizer::read("tests/goldens/gpt2_tokenizer.bin");
  for (const char* piece : {"a", " ", "^", "ab"}) {
    const std::string text = repeated(piece);
    const std::vector<double> seconds = seconds_of(gpt2, {text.substr(0, kMegabyte / 4), text});
    INFO("text of " << piece << ": " << seconds[1] / seconds[0] << " times");
    CHECK(seconds[1] < 8 * seconds[0]);  // quadratic: 16
  }
}

}  // namespace
}  // namespace inkling
