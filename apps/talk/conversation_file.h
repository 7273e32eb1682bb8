// Conversations in files: JSON as OpenAI's API has it, {"messages": [{"role": "user", "content": "Hi"},
// ...]}, on one line. So a saved conversation is also a line of data to train on.
#pragma once

#include <string>
#include <string_view>

#include "apps/talk/conversation.h"

namespace inkling {

// Replaces the file `path`. Bytes that are not UTF-8, such as half a character at the end of an answer that
// was stopped, are saved as U+FFFD.
void save_conversation(const std::string& path, const Conversation& conversation);

// Sets the system text and the turns of `conversation` from a file. If there is an Error, the conversation is
// not changed. The last turn must be an answer. The second function takes the contents of the file `path`.
void load_conversation(const std::string& path, Conversation& conversation);
void parse_conversation(std::string_view contents, const std::string& path, Conversation& conversation);

}  // namespace inkling
