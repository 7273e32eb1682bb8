// inkling generate: a model writes text, token by token.
#include <algorithm>
#include <chrono>
#include <iostream>
#include <optional>

#include "apps/commands.h"
#include "apps/run/flags.h"
#include "apps/run/format.h"
#include "apps/text/tokenizer.h"
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

// Returns the ids of the prompt. They start with end-of-text, because every document starts with it.
std::vector<std::int32_t> find_prompt(const GenerateCommand& command,
                                      const std::optional<Tokenizer>& tokenizer, const GPT2Config& model) {
  std::vector<std::int32_t> ids = command.prompt_tokens;
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
// by token; several texts are printed after all of them have ended.
std::int64_t write_texts(GPT2& model, std::span<const std::int32_t> prompt, const GenerateCommand& command,
                         const std::optional<Tokenizer>& tokenizer, std::int64_t first, std::int64_t count) {
  std::vector<Rng> rngs;
  for (std::int64_t i = first; i < first + count; ++i)
    rngs.emplace_back(command.seed, static_cast<std::uint64_t>(i));
  const bool at_once = command.samples == 1;
  std::vector<std::string> texts(rngs.size(), command.prompt);
  if (at_once) std::cout << command.prompt << std::flush;
  const std::int64_t made =
      generate(model, prompt, command.generation, rngs, [&](std::int64_t text, std::int32_t id) {
        const std::string more = tokenizer ? tokenizer->decode(std::span(&id, 1)) : str(id, ' ');
        if (at_once) {
          std::cout << more << std::flush;
        } else {
          texts[static_cast<std::size_t>(text)] += more;
        }
        return true;
      });
  if (at_once) {
    std::cout << std::endl;
    return made;
  }
  for (std::int64_t i = 0; i < count; ++i)
    std::cout << (first + i > 0 ? "---\n" : "") << texts[static_cast<std::size_t>(i)] << "\n";
  std::cout << std::flush;
  return made;
}

int run(GenerateCommand command) {
  set_threads(command.threads);
  const Precision precision = precision_flag(command.precision, Recording::off);
  if (command.greedy) command.generation.sampler.temperature = 0.0f;
  from_flags([&] { command.generation.sampler.check(); }, "--");
  GPT2 model = load_model(command.model);
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
  generate->add_option("--model", command->model, "model checkpoint (.bin)")->required();
  generate->add_option("--tokenizer", command->tokenizer,
                       "tokenizer file; default: the tokenizer in the model's directory");
  CLI::Option* prompt =
      generate->add_option("--prompt", command->prompt, "text to continue; default: a new document");
  generate
      ->add_option("--prompt-tokens", command->prompt_tokens, "token ids to continue, separated by commas")
      ->delimiter(',')
      ->excludes(prompt);
  generate->add_option("--max-tokens", command->generation.max_tokens, "maximum number of tokens to generate")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  SamplerSettings& sampler = command->generation.sampler;
  generate
      ->add_option("--temperature", sampler.temperature,
                   "below 1, likely tokens become more likely; above 1, less likely; 0: the same as --greedy")
      ->check(CLI::Range(0.0f, 1000.0f))
      ->capture_default_str();
  CLI::Option* greedy = generate->add_flag("--greedy", command->greedy, "always take the likeliest token");
  generate->add_option("--top-k", sampler.top_k, "draw only from the k likeliest tokens; 0: from all")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 40))
      ->capture_default_str();
  generate
      ->add_option("--top-p", sampler.top_p,
                   "draw only from the likeliest tokens whose probabilities sum to this number")
      ->check(CLI::Range(1e-6f, 1.0f))
      ->capture_default_str();
  // --greedy draws no random numbers, so these flags would have no effect.
  for (const char* flag : {"--temperature", "--top-k", "--top-p"})
    greedy->excludes(generate->get_option(flag));
  generate->add_flag("--ignore-end", command->ignore_end, "do not stop when the model writes end-of-text");
  generate->add_option("--seed", command->seed, "seed of the random numbers")->capture_default_str();
  generate->add_option("--samples", command->samples, "number of texts; up to 16 are generated together")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 40))
      ->capture_default_str();
  generate
      ->add_option("--precision", command->precision,
                   "f32, bf16 or int8; bf16 and int8 are faster, because their weights are smaller")
      ->capture_default_str();
  generate->add_option("--threads", command->threads, "number of threads; the text does not depend on it")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  generate->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
