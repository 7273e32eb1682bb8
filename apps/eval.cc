// inkling eval: measures how well a model predicts a text.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <optional>

#include "apps/bad_lines.h"
#include "apps/commands.h"
#include "apps/eval/chat_eval.h"
#include "apps/eval/choice_eval.h"
#include "apps/number_flag.h"
#include "apps/open_model.h"
#include "apps/run/flags.h"
#include "apps/run/format.h"
#include "apps/run/perplexity.h"
#include "apps/run/progress.h"
#include "apps/text/windows.h"
#include "apps/token_text.h"
#include "apps/tokenizer/tokenizer.h"
#include "apps/window_flags.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

struct EvalCommand {
  std::string model, data, choices, chat, tokenizer, precision = "f32";
  std::int64_t batch_size = 4;
  std::int64_t seq_len = 0;  // T, the length of a window; 0 means the model's maximum
  std::int64_t stride = 0;   // tokens from one window to the next; 0 means T
  std::int64_t batches = 0;  // the number of batches to evaluate; 0 means all
  int threads = hardware_threads();
  bool documents = false, cut_context = false, strict = false, as_json = false;
  std::optional<bool> document_mask;  // nothing: yes if the data has document starts
};

struct Evaluation {
  double nats = 0;  // the sum of -log p over all targets
  std::int64_t tokens = 0;
  // The targets that are text: all except end-of-text, which stands for no bytes. 0 without a tokenizer.
  double text_nats = 0;
  std::int64_t text_bytes = 0;
  double seconds = 0;

  double loss() const { return nats / static_cast<double>(tokens); }
  double bits_per_byte() const { return text_nats / std::numbers::ln2 / static_cast<double>(text_bytes); }
};

// With `document_mask`, attention and positions do not cross the documents in a window.
Evaluation evaluate(GPT2& model, Windows& windows, const Shape& shape, std::int64_t batches,
                    const std::optional<Tokenizer>& tokenizer, bool document_mask) {
  const auto places = static_cast<std::size_t>(shape.numel());
  std::vector<std::int32_t> inputs(places), targets(places), positions(places);
  std::vector<float> losses(places);
  Tape tape(Recording::off);
  Progress progress(batches, shape.numel());
  Evaluation result;
  for (std::int64_t batch = 1;
       batch <= batches && windows.next(inputs.data(), targets.data(), positions.data()); ++batch) {
    const auto start = std::chrono::steady_clock::now();
    tape.clear();
    model.token_losses(tape, Tensor(inputs.data(), shape), Tensor(targets.data(), shape), losses.data(),
                       document_mask ? Tensor(positions.data(), shape) : Tensor());
    for (std::size_t i = 0; i < places; ++i) {
      if (targets[i] < 0) continue;
      if (!std::isfinite(losses[i])) {
        fail("eval: the loss of target ", result.tokens,
             " is not a finite number: the model has weights that are too large");
      }
      ++result.tokens;
      result.nats += losses[i];
      if (!tokenizer || targets[i] == tokenizer->end_of_text()) continue;
      result.text_nats += losses[i];
      result.text_bytes += std::ssize(tokenizer->token(targets[i]));
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result.seconds += seconds;
    progress.update(batch, result.tokens > 0 ? result.loss() : 0.0, seconds * 1000);
  }
  if (result.tokens == 0) {
    fail("eval: the loss mask leaves out every target of the first ", batches,
         " batches, expected at least one target that counts; a larger --batches reads more batches");
  }
  return result;
}

// A line on a terminal that says how far the evaluation is, drawn again about four times a second.
class Counter {
 public:
  ~Counter() {
    if (drawn_) std::cerr << "\r\33[K" << std::flush;
  }
  void update(std::int64_t done, std::int64_t all, double share) {
    const auto now = std::chrono::steady_clock::now();
    if (now < next_ || !terminal(STDERR_FILENO).redraws) return;
    next_ = now + std::chrono::milliseconds(250);
    drawn_ = true;
    std::cerr << "\r\33[K" << format_count(done) << " of " << format_count(all) << ", right "
              << format_fixed(100 * share, 1) << "%" << std::flush;
  }

 private:
  std::chrono::steady_clock::time_point next_ = std::chrono::steady_clock::now();
  bool drawn_ = false;
};

std::string share_of(double share, std::int64_t right, std::int64_t all) {
  return str(format_fixed(100 * share, 2), "% (", format_count(right), " of ", format_count(all), ")");
}

void print_cut(std::int64_t cut, std::int64_t T) {
  if (cut > 0)
    print_labelled("cut", str(format_count(cut), ": the oldest tokens were left out, to fit into ",
                              format_number_of(T, "token")));
}

int run_choices(const EvalCommand& command, GPT2& model) {
  const std::int64_t T = window_tokens(command.seq_len, model.config(), model.config().max_seq_len);
  const std::vector<Question> questions = read_choices(command.choices);
  check_tokens(questions, model.config().vocab_size, command.choices);
  Counter counter;
  const ChoiceResult result = evaluate_choices(
      model, questions, command.batch_size, T, command.cut_context ? LongContext::cut : LongContext::fail,
      [&](const ChoiceResult& r) {
        counter.update(r.questions, std::ssize(questions), r.accuracy_by_mean());
      });
  if (command.as_json) {
    const nlohmann::ordered_json out = {{"model", command.model},
                                        {"choices", command.choices},
                                        {"precision", command.precision},
                                        {"context", T},
                                        {"questions", result.questions},
                                        {"accuracy_by_mean", result.accuracy_by_mean()},
                                        {"accuracy_by_sum", result.accuracy_by_sum()},
                                        {"right_by_mean", result.right_by_mean},
                                        {"right_by_sum", result.right_by_sum},
                                        {"cut_contexts", result.cut_contexts},
                                        {"tokens", result.tokens}};
    std::cout << out.dump(2) << "\n";
    return 0;
  }
  print_labelled("accuracy", share_of(result.accuracy_by_mean(), result.right_by_mean, result.questions) +
                                 ", by the lowest mean loss of an ending's tokens");
  print_labelled("accuracy, sums", share_of(result.accuracy_by_sum(), result.right_by_sum, result.questions) +
                                       ", by the lowest sum of losses");
  print_labelled("tokens", format_count(result.tokens) + " of endings");
  print_cut(result.cut_contexts, T);
  return 0;
}

int run_chat(const EvalCommand& command, GPT2& model, const Tokenizer& tokenizer) {
  std::vector<Conversation> conversations;
  std::vector<std::int64_t> lines;  // of the conversations in the file
  const JsonlReader file = read_jsonl(
      command.chat, bad_lines_mode(command.strict),
      [&](JsonlEntry&& entry, std::int64_t line) {
        conversations.push_back(std::get<Conversation>(std::move(entry)));
        lines.push_back(line);
      },
      print_bad_line, "", JsonlReader::Documents::refuse);
  print_bad_lines(file.bad_lines());
  Counter counter;
  const ChatResult result = evaluate_chats(
      model, tokenizer, conversations, command.cut_context ? LongContext::cut : LongContext::fail,
      [&](std::size_t index) { return str(command.chat, ": line ", lines[index]); },
      [&](const ChatResult& r) {
        counter.update(r.conversations, std::ssize(conversations), r.exact_match());
      });
  if (command.as_json) {
    const nlohmann::ordered_json out = {{"model", command.model},
                                        {"chat", command.chat},
                                        {"precision", command.precision},
                                        {"conversations", result.conversations},
                                        {"right", result.right},
                                        {"exact_match", result.exact_match()},
                                        {"cut_contexts", result.cut_contexts},
                                        {"too_long", result.too_long},
                                        {"bad_lines", file.bad_lines()}};
    std::cout << out.dump(2) << "\n";
    return 0;
  }
  print_labelled("exact match", share_of(result.exact_match(), result.right, result.conversations) +
                                    ": the model's greedy answer is the last answer of the conversation");
  print_cut(result.cut_contexts, model.config().max_seq_len);
  if (result.too_long > 0) {
    print_labelled("too long",
                   str(format_count(result.too_long), ": the last question and answer alone do not fit into ",
                       format_number_of(model.config().max_seq_len, "token"), "; counted as wrong"));
  }
  return 0;
}

int run_text(const EvalCommand& command, GPT2& model, const std::optional<Tokenizer>& tokenizer) {
  const GPT2Config& config = model.config();
  const std::vector<std::string> shards = find_shards(command.data);
  const DocumentMarks marks = find_document_marks(shards);
  const std::int64_t T =
      window_tokens(command.seq_len, config, marks.row_tokens > 0 ? marks.row_tokens : config.max_seq_len);
  // A window that ends with its document needs no mask. The windows of shards with document starts hold
  // several documents, and have a mask.
  const bool document_mask = command.document_mask.value_or(marks.starts);
  const bool ends = command.documents || (document_mask && !marks.starts);
  const std::int32_t begins = ends ? end_of_text(tokenizer, config.vocab_size) : -1;
  const std::int64_t stride = window_stride(command.stride, T);
  if (stride < T && marks.row_tokens > 0)
    throw UsageError(
        "--stride is for texts, but these shards have rows of whole conversations; leave out --stride");
  Windows windows(shards, command.batch_size, T, config.vocab_size, begins, LossMask::use, stride);
  const std::int64_t batches =
      command.batches == 0 ? windows.batches() : std::min(command.batches, windows.batches());
  const Evaluation e = evaluate(model, windows, {windows.batch_size(), T}, batches, tokenizer, document_mask);

  const double tokens_per_s = static_cast<double>(e.tokens) / e.seconds;
  const bool has_text = e.text_bytes > 0;
  if (command.as_json) {
    nlohmann::ordered_json out = {{"model", command.model},
                                  {"data", command.data},
                                  {"precision", command.precision},
                                  {"loss", e.loss()},
                                  {"perplexity", perplexity(e.loss())},
                                  {"context", T},
                                  {"stride", stride},
                                  {"documents", command.documents},
                                  {"document_mask", document_mask},
                                  {"loss_mask", windows.has_loss_mask()},
                                  {"tokens", e.tokens},
                                  {"tokens_per_s", tokens_per_s}};
    if (has_text) out["bits_per_byte"] = e.bits_per_byte(), out["text_bytes"] = e.text_bytes;
    std::cout << out.dump(2) << "\n";
    return 0;
  }
  print_labelled("loss", format_fixed(e.loss(), 4) + " nats per token");
  print_labelled("perplexity", format_fixed(perplexity(e.loss()), 2));
  if (has_text) {
    print_labelled("bits per byte",
                   str(format_fixed(e.bits_per_byte(), 4), " over ", format_number_of(e.text_bytes, "byte"),
                       " of text (end-of-text tokens are not text)"));
  }
  print_labelled("tokens",
                 format_count(e.tokens) +
                     (e.tokens < windows.targets() ? " of " + format_count(windows.targets()) : ""));
  print_labelled("protocol",
                 str("windows of ", format_number_of(T, "token"), ", stride ", format_count(stride),
                     command.documents ? ", each window inside a document" : "",
                     document_mask ? ", attention and positions inside of documents" : "",
                     windows.has_loss_mask() ? "; each token that the loss mask counts is scored once"
                                             : "; each token is scored once"));
  print_labelled("tokens/s", format_count(static_cast<std::int64_t>(tokens_per_s)));
  return 0;
}

int run(const EvalCommand& command) {
  set_threads(command.threads);
  if (command.data.empty() && command.choices.empty() && command.chat.empty())
    throw UsageError("there is nothing to evaluate: give --data, --choices or --chat");
  OpenModel opened = open_model(command.model, command.tokenizer, command.precision);
  if (!command.choices.empty()) return run_choices(command, opened.model);
  if (!command.chat.empty()) return run_chat(command, opened.model, opened.tokenizer_for("--chat"));
  return run_text(command, opened.model, opened.tokenizer);
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  CLI::App* eval =
      app.add_subcommand("eval", "Measure how well a model predicts texts, chooses endings, or answers");
  auto command = std::make_shared<EvalCommand>();
  const auto number = [&](const char* name, std::int64_t& value, const char* help) {
    return number_flag(eval->add_option(name, value, help), std::int64_t{1}, std::int64_t{1} << 31);
  };
  eval->add_option("--model", command->model, "model checkpoint (.bin)")->required();
  CLI::Option* data = eval->add_option(
      "--data", command->data, "token shards: a file name or a pattern, for example 'data/*_val.bin'");
  CLI::Option* choices = eval->add_option("--choices", command->choices,
                                          "multiple-choice questions, in llm.c's format for HellaSwag");
  CLI::Option* chat = eval->add_option(
      "--chat", command->chat,
      "conversations (.jsonl): the model writes the last answer of each, which must equal the real one");
  eval->add_option("--tokenizer", command->tokenizer,
                   str("tokenizer file or directory, for bits per byte and for --chat; ", kTokenizerRule));
  number("--batch-size", command->batch_size, "sequences in a batch (B)")->capture_default_str();
  number("--seq-len", command->seq_len, "tokens in a sequence (T); default: the model's maximum");
  number("--stride", command->stride,
         "tokens from one window to the next; below T, windows overlap, so that each token has more context; "
         "default: T");
  number("--batches", command->batches, "maximum number of batches to evaluate; default: all");
  eval->add_flag("--documents", command->documents,
                 "start a window at the beginning of each document; use it for a model trained on stories");
  eval->add_flag_function(
      "--document-mask,!--no-document-mask", [command](std::int64_t n) { command->document_mask = n > 0; },
      "attention and positions do not cross documents; default: yes for chats (data with *.starts), "
      "otherwise no");
  eval->add_option("--precision", command->precision, "f32, bf16 or int8")->capture_default_str();
  number_flag(
      eval->add_option("--threads", command->threads, "number of threads; the result does not depend on it"),
      1, kMostThreads)
      ->capture_default_str();
  CLI::Option* cut = eval->add_flag(
      "--cut-context", command->cut_context,
      "leave out the oldest tokens of questions and chats that are longer than the model's context, and say "
      "how many were cut");
  CLI::Option* strict = add_strict_flag(*eval, command->strict);
  eval->add_flag("--json", command->as_json, "print the result as JSON");
  data->excludes(choices)->excludes(chat)->excludes(cut)->excludes(strict);
  choices->excludes(chat)->excludes(strict);
  for (const char* flag : {"--stride", "--batches", "--documents", "--document-mask"}) {
    choices->excludes(eval->get_option(flag));
    chat->excludes(eval->get_option(flag));
  }
  for (const char* flag : {"--batch-size", "--seq-len"}) chat->excludes(eval->get_option(flag));
  eval->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
