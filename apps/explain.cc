// inkling explain: shows what a model predicts at each position of a text.
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numbers>

#include "apps/commands.h"
#include "apps/number_flag.h"
#include "apps/open_model.h"
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
  std::string model, tokenizer, text, text_file, precision = "f32";
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
    std::cout << padded_left(std::to_string(t), 8) << "  " << padded_right(shown(position.token), columns) << "  "
              << (screen.redraws ? colour(position.loss) : "") << padded_right(shown(position.target.id), columns)
              << padded_left(format_fixed(position.target.probability, 4), 8)
              << padded_left(format_fixed(position.loss, 4), 9) << (screen.redraws ? "\33[0m" : "") << top << "\n";
  }
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

int run(const ExplainCommand& command) {
  set_threads(command.threads);
  const std::string text = read_text(command);
  if (text.empty()) throw UsageError("the text is empty: give --text TEXT or --text-file FILE");
  OpenModel opened = open_model(command.model, command.tokenizer, command.precision);
  GPT2& model = opened.model;
  const Tokenizer& tokenizer = opened.tokenizer_for("explain");
  std::vector<std::int32_t> ids = {tokenizer.end_of_text()};  // every document starts with it
  TextEncoder(tokenizer).encode(text, ids);
  if (std::ssize(ids) - 1 > model.config().max_seq_len) {
    throw UsageError(str("the text has ", ids.size() - 1, " tokens, expected at most ",
                         model.config().max_seq_len, ", the model's context"));
  }
  const std::vector<ExplainedPosition> positions = explain(model, ids, command.top);
  command.as_json ? print_json(command, positions, tokenizer) : print_table(positions, tokenizer);
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
  explain->add_flag("--json", command->as_json, "print the result as JSON");
  explain->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
