#include "apps/talk/chat.h"

#include <algorithm>
#include <ostream>

#include "apps/number_flag.h"
#include "apps/run/format.h"
#include "apps/run/terminal_text.h"
#include "apps/sampler_flags.h"
#include "apps/talk/stop_texts.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr std::string_view kHelp =
    R"(/reset             forget the conversation
/system TEXT       set the system text, which tells the model how to behave; without TEXT: remove it
/temperature NUMBER, /top-k NUMBER, /top-p NUMBER, /seed NUMBER
                   set how the tokens of an answer are drawn; without NUMBER: print the value
/save FILE         save the conversation as a line of JSON, to load it again or to train on it
/load FILE         continue a saved conversation
/help              this list
A line that starts with // is a message that starts with /. Ctrl-C stops an answer, Ctrl-D leaves.
)";

// Sets `value` from the text after a command. Error unless it is a number in the range of the flag of the
// same name.
template <class T>
void set_number(const std::string& command, const std::string& text, T least, T most, T& value) {
  T parsed{};
  if (!parse_number(text, least, most, parsed)) {
    fail(command, " is ", text, ", expected a ", std::is_integral_v<T> ? "whole number" : "number", " from ",
         least, " to ", most);
  }
  value = parsed;
}

std::string without_blanks_around(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

}  // namespace

Chat::Chat(GPT2& model, const Tokenizer& tokenizer, const ChatSettings& settings, const Terminal& terminal,
           std::ostream& out, std::ostream& notes)
    : model_(&model),
      tokenizer_(&tokenizer),
      settings_(settings),
      terminal_(terminal),
      out_(&out),
      notes_(&notes),
      history_(tokenizer) {
  settings_.sampler.check();
  // End-of-text is in the prompt. If it were penalised, answers would not end.
  settings_.sampler.never_penalised = tokenizer.end_of_text();
}

void Chat::note(const std::string& text) {
  *notes_ << "(" << text << ")" << std::endl;
}

void Chat::handle(const std::string& line, const std::function<bool()>& stop) {
  if (line.starts_with("//")) return answer(line.substr(1), stop);
  if (!line.starts_with('/')) {
    if (!without_blanks_around(line).empty()) answer(line, stop);
    return;
  }
  const std::size_t end = std::min(line.find_first_of(" \t"), line.size());
  run_command(line.substr(0, end), without_blanks_around(line.substr(end)));
}

void Chat::answer(const std::string& message, const std::function<bool()>& stop) {
  const std::int64_t maxT = model_->config().max_seq_len;
  const std::int64_t room = std::min(settings_.max_tokens, std::max<std::int64_t>(1, maxT / 4));
  history_.add(Role::user, message);
  try {
    const History::Prompt prompt = history_.prompt(maxT - room);
    if (std::ssize(prompt.ids) >= maxT) {
      fail("the message is too long: with it, the prompt has ", prompt.ids.size(),
           " tokens, expected fewer than the model's context of ", maxT);
    }
    if (prompt.left_out > 0 && !said_left_out_) {
      note(
          "the conversation is longer than the model's context: from now on, the model does not see the "
          "oldest messages and answers");
      said_left_out_ = true;
    }
    const std::string text = write_answer(prompt.ids, maxT - std::ssize(prompt.ids), stop);
    if (text.find_first_not_of(" \t\r\n\v\f") != std::string::npos)
      return history_.add(Role::assistant, text);
  } catch (const std::exception&) {
    history_.remove_last();
    throw;
  }
  // In training, no answer was empty.
  history_.remove_last();
  note("the answer is empty, so your message is removed from the conversation");
}

// Writes at most `most` tokens of an answer, and returns its text.
std::string Chat::write_answer(const std::vector<std::int32_t>& prompt, std::int64_t most,
                               const std::function<bool()>& stop) {
  GenerateSettings generation{.max_tokens = std::min(most, settings_.max_tokens),
                              .stop_token = tokenizer_->end_of_text(),
                              .sampler = settings_.sampler};
  Rng rng(settings_.seed, asked_++);
  // A model that did not learn to end its answers writes the user's next message, too.
  StopTexts until({std::string(turn_prefix(Role::user))});
  TerminalText shown(terminal_);
  std::string text;
  const auto write = [&](const std::string& bytes) {
    text += bytes;
    *out_ << shown.push(bytes) << std::flush;
  };
  bool stopped = false;
  const std::int64_t made = generate(*model_, prompt, generation, rng, [&](std::int32_t id) {
    write(until.push(tokenizer_->token(id)));
    stopped = stop();
    return !stopped && !until.stopped();
  });
  write(until.finish());
  *out_ << shown.finish() << std::endl;
  if (stopped) {
    note("stopped");
  } else if (made == generation.max_tokens && !until.stopped()) {
    note(str("the answer was cut after ", format_number_of(made, "token"), ": ",
             made == settings_.max_tokens ? "the limit of --max-tokens" : "the model's context is full"));
  }
  return text;
}

void Chat::run_command(const std::string& command, const std::string& value) {
  SamplerSettings& sampler = settings_.sampler;
  const auto number = [&]<class T>(T least, T most, T& setting) {
    if (!value.empty()) set_number(command, value, least, most, setting);
    note(str(command.substr(1), " is ", setting));
  };
  const auto need_file = [&] {
    if (value.empty() || value == "-") fail(command, " needs the name of a file");
  };
  if (command == "/help") {
    *notes_ << kHelp << std::flush;
  } else if (command == "/reset") {
    history_.clear();
    asked_ = 0;
    said_left_out_ = false;
    note("the conversation is empty");
  } else if (command == "/system") {
    history_.set_system(value);
    note(value.empty() ? "there is no system text" : "the system text is set");
  } else if (command == "/temperature") {
    number(0.0f, 1000.0f, sampler.temperature);
  } else if (command == "/top-k") {
    number(std::int64_t{0}, kMostTopK, sampler.top_k);
  } else if (command == "/top-p") {
    number(1e-6f, 1.0f, sampler.top_p);
  } else if (command == "/seed") {
    number(std::uint64_t{0}, UINT64_MAX, settings_.seed);
  } else if (command == "/save") {
    need_file();
    history_.save(value);
    note("saved " + format_number_of(history_.answers(), "answer"));
  } else if (command == "/load") {
    need_file();
    history_.load(value);
    asked_ = static_cast<std::uint64_t>(history_.answers());
    said_left_out_ = false;
    note("loaded " + format_number_of(history_.answers(), "answer"));
  } else {
    fail(command, ": there is no such command; /help lists all commands");
  }
}

}  // namespace inkling
