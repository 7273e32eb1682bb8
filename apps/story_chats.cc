// inkling story-chats: writes the stories and the conversations about stories that `make chat` learns from.
#include <iostream>

#include "apps/chat/story_chats.h"
#include "apps/commands.h"
#include "apps/number_flag.h"
#include "apps/run/format.h"
#include "core/error.h"

namespace inkling {

namespace {

struct StoryChatsCommand {
  std::string out;
  std::uint64_t seed = 42;
  StoryChatCounts counts;
  bool example = false;
};

int run(const StoryChatsCommand& command) {
  if (command.example) {
    Rng rng(command.seed);
    std::cout << write_story_chat(rng).turns.front().text << "\n";
    return 0;
  }
  if (command.out.empty()) throw UsageError("--out is missing, expected a directory");
  const StoryChatFiles files = write_story_chats(command.out, command.seed, command.counts);
  std::cout << files.stories << ": " << format_count(command.counts.stories)
            << (command.counts.stories == 1 ? " story\n" : " stories\n")
            << files.train << ": " << format_number_of(command.counts.train, "conversation") << "\n"
            << files.held_out << ": " << format_number_of(command.counts.held_out, "conversation")
            << " about other stories\n";
  return 0;
}

}  // namespace

void add_story_chats(CLI::App& app, Action& action) {
  CLI::App* story_chats = app.add_subcommand(
      "story-chats", "Write stories, and conversations about stories, to learn to answer from");
  auto command = std::make_shared<StoryChatsCommand>();
  story_chats->add_option(
      "--out", command->out,
      "directory of the three .jsonl files; default: none, only --example works without it");
  number_flag(story_chats->add_option("--seed", command->seed, "the same seed writes the same files"),
              std::uint64_t{0}, UINT64_MAX)
      ->capture_default_str();
  const auto count = [&](const char* flag, std::int64_t& value, const char* help) {
    number_flag(story_chats->add_option(flag, value, help), std::int64_t{1}, std::int64_t{100'000'000})
        ->capture_default_str();
  };
  count("--stories", command->counts.stories, "number of stories");
  count("--train", command->counts.train, "number of conversations for training");
  count("--held-out", command->counts.held_out, "number of conversations for grading a model");
  story_chats->add_flag("--example", command->example,
                        "print one story with a question about it, and write no file");
  story_chats->callback([&action, command] { action = [command] { return run(*command); }; });
}

}  // namespace inkling
