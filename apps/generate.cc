// inkling generate: a model writes text, token by token.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>
#include <optional>
#include <utility>

#include "apps/commands.h"
#include "apps/number_flag.h"
#include "apps/run/flags.h"
#include "apps/run/format.h"
#include "apps/run/terminal_text.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "core/parallel.h"
#include "nn/checkpoint.h"
#include "nn/generate.h"

namespace inkling {

namespace {

struct GenerateCommand {
  std::string model, tokenizer, prompt, precision = "f32";
  std::vector<std::int32_t> prompt_tokens;
  GenerateSettings generation;
  bool greedy = false, ignore_end = false;
  std::uint64_t seed = 42;
  std::int64_t samples = 1;
  int threads = hardware_threads();
};

// Parses the value of --prompt-tokens.
std::vector<std::int32_t> parse_token_ids(const std::string& text) {
  constexpr std::int32_t kZero = 0, kMost = std::numeric_limits<std::int32_t>::max();
  std::vector<std::int32_t> ids;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    if (!parse_number(text.substr(begin, end - begin), kZero, kMost, ids.emplace_back())) {
      throw UsageError(str("--prompt-tokens is ", text.empty() ? "empty" : text,
                           ", expected token ids from 0 to ", kMost, ", separated by commas"));
    }
    begin = end + 1;
  }
  return ids;
}

// Returns the ids of the prompt. They start with end-of-text, because every document starts with it.
std::vector<std::int32_t> find_prompt(const GenerateCommand& command,
                                      const std::optional<Tokenizer>& tokenizer, const GPT2Config& model) {
  std::vector<std::int32_t> ids = command.prompt_tokens;
  for (const std::int32_t id : ids) {
    if (id >= model.vocab_size) {
      throw UsageError(str("--prompt-tokens has the token id ", id, ", expected 0 to ", model.vocab_size - 1,
                           ": the model's vocabulary has ", model.vocab_size, " tokens"));
    }
  }
  if (!ids.empty()) return ids;
  ids.push_back(end_of_text(tokenizer, model.vocab_size));
  if (command.prompt.empty()) return ids;
  if (!tokenizer)
    throw UsageError(
        "--prompt needs a tokenizer, but there is none: give --tokenizer FILE, or the prompt as "
        "--prompt-tokens");
  for (std::int32_t id : tokenizer->encode(command.prompt)) ids.push_back(id);
  return ids;
}

// Generates and prints the texts with the numbers first .. first + count - 1. A single text is printed token
// by token; several texts are printed after all of them have ended. Nothing is printed before the first
// token, so that a failure of the model leaves stdout empty.
std::int64_t write_texts(GPT2& model, std::span<const std::int32_t> prompt, const GenerateCommand& command,
                         const std::optional<Tokenizer>& tokenizer, std::int64_t first, std::int64_t count) {
  std::vector<Rng> rngs;
  for (std::int64_t i = first; i < first + count; ++i)
    rngs.emplace_back(command.seed, static_cast<std::uint64_t>(i));
  const bool at_once = command.samples == 1;
  std::vector<TerminalText> shown(rngs.size(), TerminalText(terminal(STDOUT_FILENO)));
  std::vector<std::string> unprinted;
  for (TerminalText& text : shown) unprinted.push_back(text.push(command.prompt));
  const std::int64_t made =
      generate(model, prompt, command.generation, rngs, [&](std::int64_t text, std::int32_t id) {
        const std::string more = tokenizer ? tokenizer->decode(std::span(&id, 1)) : str(id, ' ');
        std::string& next = unprinted[static_cast<std::size_t>(text)];
        next += shown[static_cast<std::size_t>(text)].push(more);
        if (at_once) std::cout << std::exchange(next, "") << std::flush;
        return true;
      });
  for (std::size_t i = 0; i < shown.size(); ++i) {
    if (first + static_cast<std::int64_t>(i) > 0) std::cout << "---\n";
    std::cout << unprinted[i] << shown[i].finish() << "\n";
  }
  std::cout << std::flush;
  return made;
}

int run(GenerateCommand command) {
  set_threads(command.threads);
  const Precision precision = precision_flag(command.precision, Recording::off);
  if (command.greedy) command.generation.sampler.temperature = 0.0f;
  from_flags([&] { command.generation.sampler.check(); }, "--");
  GPT2 model = load_model(command.model);
  expect_finite(model, command.model);
  const std::optional<Tokenizer> tokenizer = find_tokenizer(command.tokenizer, command.model);
  if (tokenizer) tokenizer->check_vocabulary(command.model, model.config().vocab_size);
  if (!command.ignore_end) command.generation.stop_token = end_of_text(tokenizer, model.config().vocab_size);
  const std::vector<std::int32_t> prompt = find_prompt(command, tokenizer, model.config());
  model.set_precision(precision, Recording::off);
  const auto start = std::chrono::steady_clock::now();
  std::int64_t made = 0;
  // At most kTogether texts are generated at a time, so that each text is printed as soon as possible.
  for (std::int64_t text = 0; text < command.samples; text += kTogether) {
    made += write_texts(model, prompt, command, tokenizer, text, std::min(kTogether, command.samples - text));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::cerr << made << " tokens, " << format_fixed(static_cast<double>(made) / seconds, 1) << " tokens/s"
            << std::endl;
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  CLI::App* generate = app.add_subcommand("generate", "Generate text with a model");
  auto command = std::make_shared<GenerateCommand>();
  const auto number = [&]<class T>(const char* name, T& value, T least, T most, const char* help) {
    return number_flag(generate->add_option(name, value, help), least, most)->capture_default_str();
  };
  generate->add_option("--model", command->model, "model checkpoint (.bin)")->required();
  generate->add_option("--tokenizer", command->tokenizer,
                       "tokenizer file; default: the tokenizer in the model's directory");
  CLI::Option* prompt =
      generate->add_option("--prompt", command->prompt, "text to continue; default: a new document");
  generate
      ->add_option_function<std::string>(
          "--prompt-tokens",
          [command](const std::string& text) { command->prompt_tokens = parse_token_ids(text); },
          "token ids to continue, separated by commas")
      ->excludes(prompt);
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  number("--max-tokens", command->generation.max_tokens, std::int64_t{1}, kMost,
         "maximum number of tokens to generate");
  SamplerSettings& sampler = command->generation.sampler;
  number("--temperature", sampler.temperature, 0.0f, 1000.0f,
         "below 1, likely tokens become more likely; above 1, less likely; 0: the same as --greedy");
  CLI::Option* greedy = generate->add_flag("--greedy", command->greedy, "always take the likeliest token");
  number("--top-k", sampler.top_k, std::int64_t{0}, kMost,
         "draw only from the k likeliest tokens; 0: from all");
  number("--top-p", sampler.top_p, 1e-6f, 1.0f,
         "draw only from the likeliest tokens whose probabilities sum to this number");
  // --greedy draws no random numbers, so these flags would have no effect.
  for (const char* flag : {"--temperature", "--top-k", "--top-p"})
    greedy->excludes(generate->get_option(flag));
  generate->add_flag("--ignore-end", command->ignore_end, "do not stop when the model writes end-of-text");
  number("--seed", command->seed, std::uint64_t{0}, UINT64_MAX, "seed of the random numbers");
  number("--samples", command->samples, std::int64_t{1}, kMost,
         "number of texts; up to 16 are generated together");
  generate
      ->add_option("--precision", command->precision,
                   "f32, bf16 or int8; bf16 and int8 are faster, because their weights are smaller")
      ->capture_default_str();
  number("--threads", command->threads, 1, kMostThreads, "number of threads; the text does not depend on it");
  generate->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
