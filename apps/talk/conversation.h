// A conversation with a model: its turns, and the prompt from which the model writes the next answer.
//
// The template of a conversation, each line one segment:
//   <|endoftext|>                          the document's start, as everywhere
//   "\nSystem: " TEXT                      only if there is a system text
//   "\nUser: " TEXT
//   "\nAssistant: " ANSWER <|endoftext|>   the last two segments for each exchange
// Each quoted text, each TEXT and each ANSWER is encoded apart. So the prompt, which ends with "\nAssistant:
// ", has exactly the tokens that a model saw in training before it learned the answer.
//
// This file does not know the model. Read next: chat.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/text/tokenizer.h"

namespace inkling {

enum class Role { system, user, assistant };

const char* name(Role role);
// The text before a turn, such as "\nUser: ".
const char* text_before(Role role);

struct Turn {
  Role role;
  std::string text;
};

class Conversation {
 public:
  // The tokenizer must outlive the conversation.
  explicit Conversation(const Tokenizer& tokenizer) : tokenizer_(&tokenizer) {}

  // Sets the system text; an empty text removes it. Error if the text cannot be encoded. Like add(), it then
  // changes nothing.
  void set_system(const std::string& text);
  // Adds a turn. User and assistant take turns, and the user begins; Error for another order, an empty text
  // of the user, or a text that cannot be encoded.
  void add(Role role, const std::string& text);
  // Adds an answer that the model wrote with the tokens `written`. Its text is encoded again, as in training.
  // If this fails, `written` is used: an answer that was stopped may end in the middle of a token.
  void add_answer(const std::string& text, const std::vector<std::int32_t>& written);
  void remove_last();  // removes the last turn
  void clear();        // removes all turns, but not the system text

  const std::string& system() const { return system_.text; }
  std::vector<Turn> turns() const;  // all turns, the system text first
  std::int64_t answers() const { return static_cast<std::int64_t>(encoded_.size() / 2); }

  struct Prompt {
    std::vector<std::int32_t> ids;
    std::int64_t left_out = 0;  // the number of old exchanges that did not fit
  };
  // Returns the prompt for the next answer, after a turn of the user. If it has more than `most` tokens, the
  // oldest exchanges (a message and its answer) are left out, until the prompt fits or only the last message
  // remains.
  Prompt prompt(std::int64_t most) const;

 private:
  struct Encoded {
    std::string text;
    std::vector<std::int32_t> ids;
  };
  Encoded encode_turn(Role role, const std::string& text) const;

  const Tokenizer* tokenizer_;
  Encoded system_;
  std::vector<Encoded> encoded_;  // user, assistant, user, ...
};

}  // namespace inkling
