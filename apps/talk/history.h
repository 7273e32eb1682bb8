// The history of a chat: its turns, and the prompt from which the model writes the next answer.
//
// The tokens come from the template of apps/chat/chat_template.h, so the prompt has exactly the tokens that a
// model saw in training before it learned an answer. A chat is saved in a form that apps/chat/conversations.h
// reads, so a model can be trained on it.
//
// This file does not know the model. Read next: chat.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/chat/chat_template.h"

namespace inkling {

class History {
 public:
  // The tokenizer must outlive the history. Error if it cannot encode the template.
  explicit History(const Tokenizer& tokenizer) : tokenizer_(&tokenizer), template_(tokenizer) {}

  // Sets the system text; an empty text removes it. Error if the tokenizer cannot encode the text. Like
  // add(), it then changes nothing.
  void set_system(const std::string& text);
  // Adds a turn of the user or the assistant. Error if the tokenizer cannot encode the text.
  void add(Role role, const std::string& text);
  void remove_last();  // removes the last turn
  void clear();        // removes all turns, but not the system text

  const Conversation& conversation() const { return conversation_; }  // all turns
  std::int64_t answers() const;                                       // the number of the assistant's turns

  struct Prompt {
    std::vector<std::int32_t> ids;
    std::int64_t left_out = 0;  // the number of old turns that did not fit
  };
  // Returns the prompt for the next answer. If it has more than `most` tokens, the oldest turns are left out,
  // until it begins with a message of the user and fits, or only the last message remains. The system text
  // always stays.
  Prompt prompt(std::int64_t most);

  // Replaces the file `path` with this conversation as one line of JSON. Error if it has no answer.
  void save(const std::string& path) const;
  // Sets the system text and the turns from a file with one conversation, which ends with an answer. If there
  // is an Error, nothing is changed.
  void load(const std::string& path);

 private:
  bool has_system() const;
  std::int64_t count_tokens(const Turn& turn);

  const Tokenizer* tokenizer_;
  ChatTemplate template_;
  Conversation conversation_;
  std::vector<std::int64_t> tokens_;  // of each turn, with its prefix
};

}  // namespace inkling
