// inkling explain: shows what a model predicts at each position of a text, and, as a page, what happens
// inside.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numbers>

#include "apps/commands.h"
#include "apps/explain/explain_page.h"
#include "apps/number_flag.h"
#include "apps/open_model.h"
#include "apps/page/page_html.h"
#include "apps/report/shell_line.h"
#include "apps/run/flags.h"
#include "apps/run/format.h"
#include "apps/run/perplexity.h"
#include "apps/talk/explanation.h"
#include "apps/token_text.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/binary_file.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

struct ExplainCommand {
  std::string model, tokenizer, text, text_file, html, precision = "f32";
  std::int64_t top = 5;
  int threads = hardware_threads();
  bool as_json = false;
};

std::string read_text(const ExplainCommand& command) {
  if (command.text_file.empty()) return command.text;
  const FileView file(command.text_file);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// The escape code of the colour for a loss: green, if the model gives the target at least half of the
// probability, yellow down to 5%, red below.
const char* colour(double loss) {
  const double likely = std::numbers::ln2, possible = std::numbers::ln2 + std::numbers::ln10;
  return loss <= likely ? "\33[32m" : loss <= possible ? "\33[33m" : "\33[31m";
}

void print_table(std::span<const ExplainedPosition> positions, const Tokenizer& tokenizer) {
  const Terminal screen = terminal(STDOUT_FILENO);
  const auto shown = [&](std::int32_t id) { return quoted_token(screen, tokenizer.token(id)); };
  std::size_t columns = 6;  // of the word "target"
  for (const ExplainedPosition& position : positions)
    columns = std::max({columns, width_of(shown(position.token)), width_of(shown(position.target.id))});
  std::cout << "position  " << padded_right("token", columns) << "  " << padded_right("target", columns)
            << "       p     loss  likeliest\n";
  for (std::size_t t = 0; t < positions.size(); ++t) {
    const ExplainedPosition& position = positions[t];
    std::string top;
    for (const Prediction& prediction : position.top)
      top += "  " + shown(prediction.id) + " " + format_fixed(prediction.probability, 3);
    std::cout << padded_left(std::to_string(t), 8) << "  " << padded_right(shown(position.token), columns)
              << "  " << (screen.redraws ? colour(position.loss) : "")
              << padded_right(shown(position.target.id), columns)
              << padded_left(format_fixed(position.target.probability, 4), 8)
              << padded_left(format_fixed(position.loss, 4), 9) << (screen.redraws ? "\33[0m" : "") << top
              << "\n";
  }
}

void print_means(std::span<const ExplainedPosition> positions) {
  const double loss = mean_loss(positions);
  std::cout << "mean loss " << format_fixed(loss, 4) << " nats per token, perplexity "
            << format_fixed(perplexity(loss), 2) << ", " << format_count(std::ssize(positions))
            << " positions\n";
}

void print_json(const ExplainCommand& command, std::span<const ExplainedPosition> positions,
                const Tokenizer& tokenizer) {
  const auto predicted = [&](const Prediction& prediction) {
    return nlohmann::ordered_json{{"id", prediction.id},
                                  {"text", tokenizer.token(prediction.id)},
                                  {"probability", prediction.probability}};
  };
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const ExplainedPosition& position : positions) {
    nlohmann::ordered_json top = nlohmann::ordered_json::array();
    for (const Prediction& prediction : position.top) top.push_back(predicted(prediction));
    rows.push_back({{"position", std::ssize(rows)},
                    {"token", {{"id", position.token}, {"text", tokenizer.token(position.token)}}},
                    {"target", predicted(position.target)},
                    {"loss", position.loss},
                    {"top", top}});
  }
  const double loss = mean_loss(positions);
  const nlohmann::ordered_json out = {{"model", command.model},
                                      {"precision", command.precision},
                                      {"loss", loss},
                                      {"perplexity", perplexity(loss)},
                                      {"positions", rows}};
  std::cout << out.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << "\n";
}

// The command of the page, with a text of any length.
std::string command_line(const ExplainCommand& command) {
  std::vector<std::string> words = {"inkling", "explain", "--model", command.model};
  if (!command.tokenizer.empty()) words.insert(words.end(), {"--tokenizer", command.tokenizer});
  if (command.text_file.empty())
    words.insert(words.end(), {"--text", command.text});
  else
    words.insert(words.end(), {"--text-file", command.text_file});
  words.insert(words.end(), {"--top", std::to_string(command.top), "--html", command.html});
  return report::shell_line(words);
}

// Progress goes to a line of stderr that is drawn again, and only to a terminal.
Inside look_inside_with_progress(GPT2& model, std::span<const std::int32_t> ids) {
  const bool redraws = terminal(STDERR_FILENO).redraws;
  Inside inside = look_inside(model, ids, [&](std::int64_t layer) {
    if (!redraws) return;
    std::cerr << "\r\33[Kremoving each head of layer " << layer + 1 << " of " << model.config().layers
              << std::flush;
  });
  if (redraws) std::cerr << "\r\33[K" << std::flush;
  return inside;
}

// A token of spaces only would be empty on a page: its spaces are shown as \u2423, an open box.
std::string visible(const std::string& token) {
  if (token.find_first_not_of(' ') != token.npos) return token;
  std::string boxes;
  for (std::size_t i = 0; i < token.size(); ++i) boxes += "\u2423";
  return boxes;
}

void write_page(const ExplainCommand& command, OpenModel& opened, std::span<const std::int32_t> ids,
                std::span<const ExplainedPosition> positions) {
  ExplainedText text{.model = command.model, .positions = positions};
  const Tokenizer& tokenizer = opened.tokenizer_for("explain");
  const Terminal careful{.columns = 1, .redraws = false, .utf8 = true};
  for (std::int32_t id = 0; id < opened.model.config().vocab_size; ++id) {
    const std::string quoted = quoted_token(careful, tokenizer.token(id));
    text.tokens.push_back(visible(quoted.substr(1, quoted.size() - 2)));
  }
  text.inside = look_inside_with_progress(opened.model, ids);
  page::Page page = explain_page(text);
  page.command = command_line(command);
  const std::string html = page_html(page);
  if (std::ssize(html) > kMostPageBytes) {
    throw UsageError(str("the page would have ", html.size(), " bytes, expected at most ", kMostPageBytes,
                         ": give a shorter text or a smaller --top"));
  }
  AtomicFile file(command.html);
  file.write(html);
  file.commit();
  std::cout << command.html << "\n";
}

// Refuses texts that are too long for the model or for a page.
void check_length(const ExplainCommand& command, const GPT2Config& config, std::int64_t tokens) {
  if (tokens > config.max_seq_len) {
    throw UsageError(str("the text has ", tokens, " tokens, expected at most ", config.max_seq_len,
                         ", the model's context"));
  }
  if (command.html.empty()) return;
  const std::int64_t most = most_explained_tokens(config, command.top);
  if (tokens > most) {
    throw UsageError(str("the text has ", tokens, " tokens, expected at most ", most,
                         " for a page of at most ", kMostPageBytes >> 20, " MB with the ",
                         config.layers * config.heads, " heads of this model"));
  }
}

int run(const ExplainCommand& command) {
  set_threads(command.threads);
  if (!command.html.empty() && command.precision != "f32")
    throw UsageError("--html computes in f32, expected --precision f32");
  const std::string text = read_text(command);
  if (text.empty()) throw UsageError("the text is empty: give --text TEXT or --text-file FILE");
  OpenModel opened = open_model(command.model, command.tokenizer, command.precision);
  GPT2& model = opened.model;
  const Tokenizer& tokenizer = opened.tokenizer_for("explain");
  std::vector<std::int32_t> ids = {tokenizer.end_of_text()};  // every document starts with it
  TextEncoder(tokenizer).encode(text, ids);
  check_length(command, model.config(), std::ssize(ids) - 1);
  const std::vector<ExplainedPosition> positions = explain(model, ids, command.top);
  if (command.as_json) {
    print_json(command, positions, tokenizer);
    return 0;
  }
  if (command.html.empty()) print_table(positions, tokenizer);
  print_means(positions);
  if (!command.html.empty()) write_page(command, opened, ids, positions);
  return 0;
}

}  // namespace

void add_explain(CLI::App& app, Action& action) {
  CLI::App* explain = app.add_subcommand("explain", "Show what a model predicts at each position of a text");
  auto command = std::make_shared<ExplainCommand>();
  explain->add_option("--model", command->model, "model checkpoint (.bin)")->required();
  explain->add_option("--tokenizer", command->tokenizer,
                      "tokenizer file; default: tokenizer.bin in the model's directory");
  CLI::Option* text = explain->add_option("--text", command->text, "the text");
  explain->add_option("--text-file", command->text_file, "file with the text")->excludes(text);
  number_flag(explain->add_option("--top", command->top, "how many of the likeliest tokens to show"),
              std::int64_t{0}, std::int64_t{1000})
      ->capture_default_str();
  explain->add_option("--precision", command->precision, "f32, bf16 or int8")->capture_default_str();
  number_flag(explain->add_option("--threads", command->threads,
                                  "number of threads; the result does not depend on it"),
              1, kMostThreads)
      ->capture_default_str();
  CLI::Option* json = explain->add_flag("--json", command->as_json, "print the result as JSON");
  explain
      ->add_option(
          "--html", command->html,
          "write a page to this file: losses, predictions, attention, gradients, and the losses without "
          "each head")
      ->excludes(json);
  explain->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
