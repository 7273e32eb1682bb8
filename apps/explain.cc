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
#include "apps/window_flags.h"
#include "core/binary_file.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

struct ExplainCommand {
  std::string model, tokenizer, text, text_file, html, precision = "f32";
  std::int64_t top = 5;
  std::int64_t seq_len = 0;  // T, the length of a window; 0 means the model's maximum
  std::int64_t stride = 0;   // tokens from one window to the next; 0 means T
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

// The table of the positions. A terminal gets lines that it has room for: long tokens are shortened, and the
// likeliest tokens are in lines of their own if there is no room for several of them beside the other
// columns.
class PositionTable {
 public:
  PositionTable(std::span<const ExplainedPosition> positions, const Tokenizer& tokenizer)
      : positions_(positions), tokenizer_(tokenizer), screen_(terminal(STDOUT_FILENO)) {
    const bool narrow = screen_.columns > 0 && screen_.columns < kNarrow;
    number_title_ = narrow ? "pos" : "position";
    number_columns_ = std::max(number_title_.size(), std::to_string(positions.size() - 1).size());
    std::size_t longest = kLeastTokenColumns;
    for (const ExplainedPosition& p : positions)
      longest = std::max({longest, width_of(shown(p.token)), width_of(shown(p.target.id))});
    const std::size_t others = number_columns_ + 4 + kProbability + kLoss;
    token_columns_ = fitting_columns(screen_, longest, 2, others);
    before_likeliest_ = others + 2 * token_columns_;
    const std::size_t most = positions.front().top.size();
    beside_ = screen_.columns == 0 || most == 0 ||
              room_after(before_likeliest_) >= std::min(most, kBeside) * kOnePrediction;
  }

  void print() const {
    std::cout << padded_left(number_title_, number_columns_) << "  " << padded_right("token", token_columns_)
              << "  " << padded_right("target", token_columns_) << padded_left("p", kProbability)
              << padded_left("loss", kLoss)
              << (beside_ && !positions_.front().top.empty() ? "  likeliest" : "") << "\n";
    for (std::size_t t = 0; t < positions_.size(); ++t) {
      const ExplainedPosition& position = positions_[t];
      if (t > 0 && position.context < positions_[t - 1].context)
        std::cout << wrapped(str("--------  a window begins: here the context has ",
                                 format_number_of(position.context, "token")),
                             screen_, 10)
                  << "\n";
      print(t, position);
    }
  }

 private:
  static constexpr int kNarrow = 60;  // a terminal with fewer columns is narrow
  static constexpr std::size_t kProbability = 8, kLoss = 9;
  static constexpr std::size_t kOnePrediction = 13;  // the usual width of one of the likeliest tokens
  static constexpr std::size_t kBeside = 3;          // at least so many must fit beside the other columns

  void print(std::size_t number, const ExplainedPosition& position) const {
    std::cout << padded_left(std::to_string(number), number_columns_) << "  "
              << padded_right(shortened(shown(position.token), token_columns_), token_columns_) << "  "
              << (screen_.redraws ? colour(position.loss) : "")
              << padded_right(shortened(shown(position.target.id), token_columns_), token_columns_)
              << padded_left(format_fixed(position.target.probability, 4), kProbability)
              << padded_left(format_fixed(position.loss, 4), kLoss) << (screen_.redraws ? "\33[0m" : "");
    std::cout << (beside_ ? "" : "\n") << likeliest_tokens(position, beside_ ? before_likeliest_ : 0) << "\n";
  }

  // The likeliest tokens. In a terminal, a line of them begins after `columns` characters.
  std::string likeliest_tokens(const ExplainedPosition& position, std::size_t columns) const {
    constexpr std::size_t kRest = 8;  // of a prediction, beside its token
    const std::size_t room = room_after(columns);
    std::string text;
    std::size_t width = 0;  // of the last line
    for (const Prediction& prediction : position.top) {
      std::string token = shown(prediction.id);
      if (screen_.columns > 0) {
        token = shortened(token, std::max(room, kRest + kLeastTokenColumns) - kRest);
        if (width > 0 && width + kRest + width_of(token) > room) {
          text += "\n" + std::string(columns, ' ');
          width = 0;
        }
      }
      text += "  " + token + " " + format_fixed(prediction.probability, 3);
      width += kRest + width_of(token);
    }
    return text;
  }

  std::size_t room_after(std::size_t columns) const {
    const auto width = static_cast<std::size_t>(screen_.columns);
    return width > columns ? width - columns : 0;
  }
  std::string shown(std::int32_t id) const { return shown_token(screen_, tokenizer_, id); }

  std::span<const ExplainedPosition> positions_;
  const Tokenizer& tokenizer_;
  Terminal screen_;
  std::string number_title_;
  std::size_t number_columns_ = 0, token_columns_ = 0, before_likeliest_ = 0;
  bool beside_ = true;  // whether the likeliest tokens stand beside the other columns
};

// Which tokens the model saw before each target, as eval says it.
std::string protocol(std::int64_t T, std::int64_t stride) {
  return str("windows of ", format_number_of(T, "token"), ", stride ", format_count(stride),
             "; each token is scored once");
}

void print_means(std::span<const ExplainedPosition> positions, std::int64_t T, std::int64_t stride) {
  const Terminal screen = terminal(STDOUT_FILENO);
  const double loss = mean_loss(positions);
  std::cout << wrapped(str("mean loss ", format_fixed(loss, 4), " nats per token, perplexity ",
                           format_fixed(perplexity(loss), 2), ", ",
                           format_number_of(std::ssize(positions), "position")),
                       screen, 2)
            << "\n";
  if (std::ssize(positions) > T) std::cout << wrapped(protocol(T, stride), screen, 2) << "\n";
}

void print_json(const ExplainCommand& command, std::span<const ExplainedPosition> positions,
                const Tokenizer& tokenizer, std::int64_t T, std::int64_t stride) {
  // The special token end-of-text has the text <|endoftext|>, and is marked: a text may have these
  // characters, too.
  const auto token = [&](std::int32_t id) {
    nlohmann::ordered_json json = {{"id", id}, {"text", tokenizer.token(id)}};
    if (id == tokenizer.end_of_text()) json["special"] = true;
    return json;
  };
  const auto predicted = [&](const Prediction& prediction) {
    nlohmann::ordered_json json = token(prediction.id);
    json["probability"] = prediction.probability;
    return json;
  };
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const ExplainedPosition& position : positions) {
    nlohmann::ordered_json top = nlohmann::ordered_json::array();
    for (const Prediction& prediction : position.top) top.push_back(predicted(prediction));
    rows.push_back({{"position", std::ssize(rows)},
                    {"context", position.context},
                    {"token", token(position.token)},
                    {"target", predicted(position.target)},
                    {"loss", position.loss},
                    {"top", top}});
  }
  const double loss = mean_loss(positions);
  const nlohmann::ordered_json out = {{"model", command.model}, {"precision", command.precision},
                                      {"loss", loss},           {"perplexity", perplexity(loss)},
                                      {"context", T},           {"stride", stride},
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

// Refuses texts that are too long for a page, which shows one window.
void check_page_length(const ExplainCommand& command, const GPT2Config& config, std::int64_t tokens,
                       std::int64_t T) {
  if (command.html.empty()) return;
  const std::string has = str("the text has ", format_number_of(tokens, "token"), ", expected at most ");
  if (tokens > T)
    throw UsageError(str(has, T, " for --html: a page shows one window of the model's context"));
  const std::int64_t most = most_explained_tokens(config, command.top);
  if (tokens > most) {
    throw UsageError(str(has, most, " for a page of at most ", kMostPageBytes >> 20, " MB with the ",
                         format_number_of(config.layers * config.heads, "head"), " of this model"));
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
  const std::int64_t T = window_tokens(command.seq_len, model.config(), model.config().max_seq_len),
                     stride = window_stride(command.stride, T);
  check_page_length(command, model.config(), std::ssize(ids) - 1, T);
  const std::vector<ExplainedPosition> positions = explain_in_windows(model, ids, command.top, T, stride);
  if (command.as_json) {
    print_json(command, positions, tokenizer, T, stride);
    return 0;
  }
  if (command.html.empty()) PositionTable(positions, tokenizer).print();
  print_means(positions, T, stride);
  if (!command.html.empty()) write_page(command, opened, ids, positions);
  return 0;
}

}  // namespace

void add_explain(CLI::App& app, Action& action) {
  CLI::App* explain = app.add_subcommand("explain", "Show what a model predicts at each position of a text");
  auto command = std::make_shared<ExplainCommand>();
  explain->add_option("--model", command->model, "model checkpoint (.bin)")->required();
  explain->add_option("--tokenizer", command->tokenizer,
                      str("tokenizer file or directory; ", kTokenizerRule));
  CLI::Option* text = explain->add_option("--text", command->text, "the text");
  explain->add_option("--text-file", command->text_file, "file with the text")->excludes(text);
  number_flag(explain->add_option("--top", command->top, "how many of the likeliest tokens to show"),
              std::int64_t{0}, std::int64_t{1000})
      ->capture_default_str();
  const auto number = [&](const char* name, std::int64_t& value, const char* help) {
    number_flag(explain->add_option(name, value, help), std::int64_t{1}, std::int64_t{1} << 31);
  };
  number("--seq-len", command->seq_len,
         "tokens in a window (T), of a text that is longer; default: the model's maximum");
  number("--stride", command->stride,
         "tokens from one window to the next; below T, windows overlap, so that each token has more context; "
         "default: T");
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
