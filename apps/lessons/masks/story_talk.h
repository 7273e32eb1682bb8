// Short chats about the beginnings of stories, for a model that has learned stories in a lesson. The
// questions and answers come from apps/chat/story_chats.h. Only the stories are cut, so that a row is short.
#pragma once

#include <cstdint>

#include "apps/chat/conversations.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/rng.h"

namespace inkling {

constexpr std::int64_t kTalkTokens = 96;  // the most tokens of a chat

// The tokens of the stories, with the same ids, and after them the words of questions and answers and the
// prefixes of turns (apps/chat/chat_template.h). Thread-safe.
const Tokenizer& talk_tokenizer();

// The beginning of a story and two questions about it, each with its only right answer.
Conversation write_talk(Rng& rng);

}  // namespace inkling
