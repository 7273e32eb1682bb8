// Story chats: conversations about the default stories (apps/text/stories.h). The user tells a story and asks
// about it, and the assistant answers. Each question has exactly one right answer, which can be read from the
// story, so a program can grade a model: an answer is right if it is the same text.
//
//   user:      There lived a happy girl called Lily. One ... Lily lost her red ball ... Who lost the ball?
//   assistant: Lily lost the ball.
//   user:      Which ball was it?
//   assistant: It was the red ball.
//
// A model that learned to write stories has already learned to look back at a story's names and colours. From
// the chats it learns what a question is, and how to answer it. Held-out chats are about stories that are in
// no other file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/chat/conversations.h"
#include "core/rng.h"

namespace inkling {

struct QuestionAnswer {
  std::string question, answer;
};

// Returns all questions about a story that the story answers, each with its only right answer. `story` is the
// text of a story that the default grammar wrote.
std::vector<QuestionAnswer> story_questions(std::string_view story);

// Writes a story and a conversation about it: three questions, in random order.
Conversation write_story_chat(Rng& rng);

struct StoryChatCounts {
  std::int64_t stories = 40'000;  // documents, to learn the language from before the chats
  std::int64_t train = 20'000;
  std::int64_t held_out = 500;
};
struct StoryChatFiles {
  std::string stories, train, held_out;  // paths
};

// Writes stories.jsonl (documents), story_chats_train.jsonl and story_chats_held_out.jsonl into `directory`,
// which is created if needed. Each file has its own stream of random numbers. The same seed writes the same
// bytes on every machine.
StoryChatFiles write_story_chats(const std::string& directory, std::uint64_t seed,
                                 const StoryChatCounts& counts = {});

}  // namespace inkling
