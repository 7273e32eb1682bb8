// inkling generate: a model writes text, token by token.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "apps/commands.h"
#include "apps/number_flag.h"
#include "apps/open_model.h"
#include "apps/run/flags.h"
#include "apps/run/format.h"
#include "apps/run/terminal_text.h"
#include "apps/sampler_flags.h"
#include "apps/talk/stop_texts.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/binary_file.h"
#include "core/error.h"
#include "core/parallel.h"
#include "nn/generate.h"

namespace inkling {

namespace {

struct GenerateCommand {
  std::string model, tokenizer, prompt, prompt_file, precision = "f32";
  std::vector<std::int32_t> prompt_tokens;
  std::vector<std::string> stops;
  GenerateSettings generation;
  bool ignore_end = false;
  std::uint64_t seed = 42;
  std::int64_t num_samples = 1;
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
    throw UsageError(str(command.prompt_file.empty() ? "--prompt" : "--prompt-file",
                         " needs a tokenizer, but there is none beside ", command.model,
                         "; give the prompt as --prompt-tokens, or --tokenizer; ", kTokenizerRule));
  for (std::int32_t id : tokenizer->encode(command.prompt)) ids.push_back(id);
  return ids;
}

// Returns the text of --prompt or --prompt-file. Editors end a file with a line break, which is not part of
// the prompt.
std::string read_prompt(const GenerateCommand& command) {
  if (command.prompt_file.empty()) return command.prompt;
  std::string text(FileView(command.prompt_file).text());
  if (text.ends_with('\n')) text.pop_back();
  if (text.ends_with('\r')) text.pop_back();
  return text;
}

// A token of a text, for --logprobs.
struct WrittenToken {
  std::int32_t id;
  std::string bytes;
  double log_probability;
};

// A text that is being written.
struct Writing {
  StopTexts stops;
  TerminalText shown;
  std::string unprinted = {};  // text that can be shown but is not printed yet
  std::string text = {};       // for --logprobs: everything after the prompt
  std::vector<WrittenToken> tokens = {};
};

// The line of --logprobs for one text. Its tokens are those that wrote the text: the tokens of a stop text
// are left out, unless the text ends inside a token. Bytes that are not UTF-8, such as half a character,
// become U+FFFD; "bytes" has the true bytes of a token, and the bytes of all tokens together are the text.
// Without a tokenizer there are no bytes.
std::string json_line(const Writing& writing, std::int64_t max_tokens, bool has_bytes) {
  const char* end = writing.stops.stopped()                   ? "stop"
                    : std::ssize(writing.tokens) < max_tokens ? "end-of-text"
                                                              : "max-tokens";
  nlohmann::ordered_json tokens = nlohmann::ordered_json::array();
  std::size_t begin = 0;  // of the token in the text
  for (const WrittenToken& token : writing.tokens) {
    if (begin >= writing.text.size()) break;
    begin += token.bytes.size();
    nlohmann::ordered_json json = {{"id", token.id}, {"text", token.bytes}};
    if (has_bytes) json["bytes"] = std::vector<unsigned char>(token.bytes.begin(), token.bytes.end());
    json["logprob"] = token.log_probability;
    tokens.push_back(std::move(json));
  }
  const nlohmann::ordered_json line = {{"text", writing.text}, {"end", end}, {"tokens", tokens}};
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Generates and prints the texts with the numbers first .. first + count - 1. A single text is printed token
// by token; several texts are printed after all of them have ended. Nothing is printed before the first
// token, so that a failure of the model leaves stdout empty.
std::int64_t write_texts(GPT2& model, std::span<const std::int32_t> prompt, const GenerateCommand& command,
                         const std::optional<Tokenizer>& tokenizer, std::int64_t first, std::int64_t count) {
  const bool logprobs = command.generation.log_probabilities, at_once = command.num_samples == 1 && !logprobs;
  std::vector<Rng> rngs;
  for (std::int64_t i = first; i < first + count; ++i)
    rngs.emplace_back(command.seed, static_cast<std::uint64_t>(i));
  std::vector<Writing> texts(rngs.size(), {StopTexts(command.stops), TerminalText(terminal(STDOUT_FILENO))});
  for (Writing& writing : texts) writing.unprinted = writing.shown.push(command.prompt);
  const std::int64_t made = generate(model, prompt, command.generation, rngs, [&](const NewToken& token) {
    Writing& writing = texts[static_cast<std::size_t>(token.text)];
    const std::string bytes = tokenizer ? tokenizer->decode(std::span(&token.id, 1)) : str(token.id, ' ');
    const std::string more = writing.stops.push(bytes);
    if (logprobs) {
      writing.text += more;
      writing.tokens.push_back({token.id, bytes, token.log_probability});
    }
    writing.unprinted += writing.shown.push(more);
    if (at_once) std::cout << std::exchange(writing.unprinted, "") << std::flush;
    return !writing.stops.stopped();
  });
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Writing& writing = texts[i];
    const std::string rest = writing.stops.finish();
    writing.text += rest;
    writing.unprinted += writing.shown.push(rest) + writing.shown.finish();
    if (logprobs) {
      std::cout << json_line(writing, command.generation.max_tokens, tokenizer.has_value()) << "\n";
    } else {
      if (first + static_cast<std::int64_t>(i) > 0) std::cout << "---\n";
      std::cout << writing.unprinted << "\n";
    }
  }
  std::cout << std::flush;
  return made;
}

int run(GenerateCommand command) {
  set_threads(command.threads);
  from_flags([&] { command.generation.sampler.check(); }, "--");
  from_flags([&] { StopTexts{command.stops}; }, "--");
  command.prompt = read_prompt(command);
  OpenModel opened = open_model(command.model, command.tokenizer, command.precision);
  if (!command.stops.empty()) opened.tokenizer_for("--stop");  // error if there is none
  const std::int32_t end = end_of_text(opened.tokenizer, opened.model.config().vocab_size);
  if (!command.ignore_end) command.generation.stop_token = end;
  // Every document starts with end-of-text. If end-of-text were penalised, texts would not end.
  command.generation.sampler.never_penalised = end;
  const std::vector<std::int32_t> prompt = find_prompt(command, opened.tokenizer, opened.model.config());
  const auto start = std::chrono::steady_clock::now();
  std::int64_t made = 0;
  // At most kTogether texts are generated at a time, so that each text is printed as soon as possible.
  for (std::int64_t text = 0; text < command.num_samples; text += kTogether) {
    made += write_texts(opened.model, prompt, command, opened.tokenizer, text,
                        std::min(kTogether, command.num_samples - text));
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::cerr << format_number_of(made, "token") << ", " << format_fixed(static_cast<double>(made) / seconds, 1)
            << " tokens/s" << std::endl;
  return 0;
}

void add_prompt_flags(CLI::App& generate, const std::shared_ptr<GenerateCommand>& command) {
  CLI::Option* prompt =
      generate.add_option("--prompt", command->prompt, "text to continue; default: a new document");
  CLI::Option* file = generate.add_option(
      "--prompt-file", command->prompt_file,
      "file with the text to continue, without the line break at its end; default: --prompt");
  CLI::Option* tokens = generate.add_option_function<std::string>(
      "--prompt-tokens",
      [command](const std::string& text) { command->prompt_tokens = parse_token_ids(text); },
      "token ids to continue, separated by commas; default: --prompt");
  prompt->excludes(file)->excludes(tokens);
  file->excludes(tokens);
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
                       str("tokenizer file or directory; ", kTokenizerRule));
  add_prompt_flags(*generate, command);
  constexpr std::int64_t kMost = std::int64_t{1} << 40;
  number("--max-tokens", command->generation.max_tokens, std::int64_t{1}, kMost,
         "maximum number of tokens to generate");
  add_sampler_flags(*generate, command->generation.sampler);
  generate
      ->add_option("--stop", command->stops,
                   "end the text before this text; may be given several times; default: none")
      ->allow_extra_args(false);
  generate->add_flag("--ignore-end", command->ignore_end, "do not stop when the model writes end-of-text");
  number("--seed", command->seed, std::uint64_t{0}, UINT64_MAX, "seed of the random numbers");
  number("--num-samples", command->num_samples, std::int64_t{1}, kMost,
         "number of texts; up to 16 are generated together");
  generate->add_flag("--logprobs", command->generation.log_probabilities,
                     "print a line of JSON for each text, with the log-probability of each token");
  generate
      ->add_option("--precision", command->precision,
                   "f32, bf16 or int8; bf16 and int8 are faster, because their weights are smaller")
      ->capture_default_str();
  number("--threads", command->threads, 1, kMostThreads, "number of threads; the text does not depend on it");
  generate->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
