// A chat: a model answers messages, and a few commands change how it answers.
//
// For each answer, the model reads the prompt of the history (history.h) and writes tokens until it
// writes end-of-text. The prompt and the answer share the context of maxT tokens. If the prompt leaves less
// than a quarter of the context for the answer, the oldest messages and answers are left out of the prompt.
//
// The random numbers of an answer come from the seed and from the number of the message. So the same seed,
// settings and messages give the same answers, also after /save and /load.
//
// Chat reads no input and knows no signals; apps/chat.cc does. Read next: chat.cc, then apps/chat.cc.
#pragma once

#include <functional>
#include <iosfwd>
#include <string>

#include "apps/run/terminal.h"
#include "apps/talk/history.h"
#include "nn/generate.h"

namespace inkling {

struct ChatSettings {
  SamplerSettings sampler = {};
  std::int64_t max_tokens = 1024;  // of an answer
  std::uint64_t seed = 42;
};

class Chat {
 public:
  // The model and the tokenizer must outlive the chat, and have the same vocabulary. Answers are written to
  // `out`, in a form that `terminal` can show. Everything else is written to `notes`.
  Chat(GPT2& model, const Tokenizer& tokenizer, const ChatSettings& settings, const Terminal& terminal,
       std::ostream& out, std::ostream& notes);

  // Handles a line of the user: a command, if it starts with "/", else a message that the model answers. "//"
  // stands for a message that starts with "/". An empty line does nothing. While the model answers, `stop` is
  // called after each token; if it returns true, the answer ends there. Error if the command is unknown, its
  // value is wrong, or the message is too long. Then the chat is as it was before the line.
  void handle(const std::string& line, const std::function<bool()>& stop);

  History& history() { return history_; }
  const ChatSettings& settings() const { return settings_; }

 private:
  void answer(const std::string& message, const std::function<bool()>& stop);
  std::string write_answer(const std::vector<std::int32_t>& prompt, std::int64_t most,
                           const std::function<bool()>& stop);
  void run_command(const std::string& command, const std::string& value);
  void note(const std::string& text);

  GPT2* model_;
  const Tokenizer* tokenizer_;
  ChatSettings settings_;
  Terminal terminal_;
  std::ostream* out_;
  std::ostream* notes_;
  History history_;
  std::uint64_t asked_ = 0;  // messages so far; it chooses the random numbers of the next answer
  bool said_left_out_ = false;
};

}  // namespace inkling
