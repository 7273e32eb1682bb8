// Encoding text with GPT-2's vocabulary on one thread, beside tiktoken; and texts that are hard to encode,
// beside ordinary text.
//
// The text is this project's source and documentation: English and C++, about a megabyte. Every run begins
// with an empty cache, because that is how a text is read.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <memory>

#include "apps/tokenizer/tokenizer.h"
#include "bench/harness.h"
#include "bench/peers.h"
#include "bench/rows.h"
#include "core/binary_file.h"
#include "core/error.h"

namespace inkling::bench {

namespace {

constexpr const char* kTokenizer = "tests/goldens/gpt2_tokenizer.bin";

// The files of the text, in the order of their names.
std::vector<std::string> source_files() {
  std::vector<std::string> files;
  for (const char* folder : {"core", "ops", "nn", "optim", "apps", "tests", "bench"}) {
    if (!std::filesystem::is_directory(folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const std::string extension = entry.path().extension();
      if (extension == ".h" || extension == ".cc" || extension == ".md") files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::string> contents(const std::vector<std::string>& files) {
  std::vector<std::string> texts;
  for (const std::string& file : files) texts.emplace_back(FileView(file).text());
  return texts;
}

void add_encoding(const std::string& name, const std::vector<std::string>& files) {
  double bytes = 0;
  for (const std::string& file : files) bytes += static_cast<double>(std::filesystem::file_size(file));
  add_row("tokenize/gpt2/" + name, Work{.bytes = bytes, .reads_only = true}, [=] {
    const auto tokenizer = std::make_shared<Tokenizer>(Tokenizer::read(kTokenizer));
    const auto texts = std::make_shared<std::vector<std::string>>(contents(files));
    const auto ids = std::make_shared<std::vector<std::int32_t>>();
    const auto encode = [tokenizer, texts, ids] {
      TextEncoder encoder(*tokenizer);
      ids->clear();
      for (const std::string& text : *texts) encoder.encode(text, *ids);
      keep(static_cast<double>(ids->size()));
    };
    return Candidates{encode, tiktoken_peers(kTokenizer, files)};
  });
}

// A megabyte of one character is a single piece, which byte pair encoding cannot look up. It may cost at most
// three times as much for each byte as ordinary text.
nlohmann::ordered_json time_hard_texts() {
  constexpr std::size_t kBytes = 1 << 20;
  constexpr int kRounds = 15;
  const Tokenizer tokenizer = Tokenizer::read(kTokenizer);
  std::string ordinary;
  for (const std::string& text : contents(source_files())) ordinary += text;
  ordinary.resize(std::min(ordinary.size(), kBytes));
  const std::vector<std::pair<std::string, std::string>> hard = {{"one letter", std::string(kBytes, 'a')},
                                                                 {"blanks", std::string(kBytes, ' ')},
                                                                 {"^", std::string(kBytes, '^')}};
  const auto seconds_of = [&](const std::string& text) {  // for each byte
    std::vector<std::int32_t> ids;
    const auto start = std::chrono::steady_clock::now();
    TextEncoder(tokenizer).encode(text, ids);
    keep(static_cast<double>(ids.size()));
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
           static_cast<double>(text.size());
  };
  std::vector<double> ordinary_seconds;
  std::vector<std::vector<double>> seconds(hard.size()), ratios(hard.size());
  for (int round = 0; round < kRounds; ++round) {
    ordinary_seconds.push_back(seconds_of(ordinary));
    for (std::size_t i = 0; i < hard.size(); ++i) {
      seconds[i].push_back(seconds_of(hard[i].second));
      ratios[i].push_back(seconds[i].back() / ordinary_seconds.back());
    }
  }
  std::cout << "\nA megabyte of one character against ordinary text (the sources), one thread, each with an "
               "empty cache\n";
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  const auto print = [&](const std::string& name, const std::vector<double>& times, double ratio) {
    std::cout << "  " << std::left << std::setw(16) << name << std::right << std::fixed
              << std::setprecision(0) << std::setw(8) << 1e-6 / median(times) << " MB/s"
              << std::setprecision(2) << std::setw(8) << ratio
              << " times the time for a byte of ordinary text\n";
    rows.push_back({{"text", name}, {"mb_per_s", 1e-6 / median(times)}, {"times_ordinary", ratio}});
  };
  print("ordinary text", ordinary_seconds, 1);
  for (std::size_t i = 0; i < hard.size(); ++i) print(hard[i].first, seconds[i], median(ratios[i]));
  return rows;
}

}  // namespace

void add_tokenizer_rows(const std::string& text) {
  if (!std::filesystem::exists(kTokenizer)) return;  // the program was not started in the project's folder
  add_encoding("source", source_files());
  if (!text.empty()) add_encoding("text", {text});
  add_section("tokenize/hard", time_hard_texts);
}

}  // namespace inkling::bench
