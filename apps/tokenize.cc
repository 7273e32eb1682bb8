// inkling tokenize: turns a text file into shards for training.
#include <iostream>

#include "apps/commands.h"
#include "apps/number_flag.h"
#include "apps/run/format.h"
#include "apps/text/tokenize.h"

namespace inkling {

namespace {

std::string share(const TokenizeResult& result) {
  const auto val = static_cast<double>(result.val_tokens), train = static_cast<double>(result.train_tokens);
  return format_fixed(100.0 * val / (val + train), 1);
}

}  // namespace

void add_tokenize(CLI::App& app, Action& action) {
  CLI::App* tokenize = app.add_subcommand("tokenize", "Turn a text file into training and validation shards");
  auto settings = std::make_shared<TokenizeSettings>();
  tokenize
      ->add_option("--input", settings->input,
                   "text file in UTF-8, - for standard input; lines of <|endoftext|> separate documents")
      ->required();
  tokenize->add_option("--out", settings->out, "writes OUT_train.bin, OUT_val.bin and OUT_tokenizer.bin")
      ->required();
  tokenize->add_option("--tokenizer", settings->tokenizer_path,
                       "tokenizer file; default: every byte is a token");
  number_flag(tokenize->add_option(
                  "--val-fraction", settings->val_fraction,
                  "share of the tokens for validation; of a small text it is more: 2,049 tokens, or half"),
              1e-6, 0.5)
      ->capture_default_str();
  tokenize->callback([&action, settings] {
    action = [settings] {
      const TokenizeResult result = tokenize_file(*settings);
      std::cout << format_count(result.text_bytes) << " bytes, " << format_count(result.documents)
                << " documents\n"
                << result.train_path << ": " << format_count(result.train_tokens) << " tokens\n"
                << result.val_path << ": " << format_count(result.val_tokens) << " tokens, " << share(result)
                << "% of all\n"
                << result.tokenizer_path << "\n";
      if (result.inline_separators > 0) {
        std::cerr << "inkling: <|endoftext|> is inside a line " << result.inline_separators
                  << " times; there it is text and separates no documents" << std::endl;
      }
      return 0;
    };
  });
}

}  // namespace inkling
