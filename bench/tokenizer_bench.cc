// Encoding text with GPT-2's vocabulary on one thread, beside tiktoken.
//
// The text is this project's source and documentation: English and C++, about a megabyte. Every run begins with
// an empty cache, because that is how a text is read.
#include <algorithm>
#include <filesystem>
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

}  // namespace

void add_tokenizer_rows(const std::string& text) {
  if (!std::filesystem::exists(kTokenizer)) return;  // the program was not started in the project's folder
  add_encoding("source", source_files());
  if (!text.empty()) add_encoding("text", {text});
}

}  // namespace inkling::bench
