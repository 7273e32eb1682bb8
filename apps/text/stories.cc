#include "apps/text/stories.h"

#include <filesystem>
#include <numeric>

#include "apps/text/stories_grammar.h"
#include "apps/text/story_choices.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr std::uint64_t kTrainStream = 11, kValStream = 12;
constexpr std::int64_t kQuestions = 500;

// Writes stories into a shard until it has at least `tokens` tokens. Returns the sum of the nats of all
// written tokens.
double write_shard(const std::string& path, std::int64_t tokens, Rng rng, std::int64_t& written) {
  ShardWriter shard(path, story_tokenizer().vocab_size());
  double nats = 0;
  while (shard.size() < tokens) {
    const Story story = write_story(rng);
    shard.append(story.tokens);
    nats = std::accumulate(story.nats.begin(), story.nats.end(), nats);
  }
  shard.commit();
  written = shard.size();
  return nats;
}

}  // namespace

const Grammar& story_grammar() {
  static const Grammar grammar(kStoryGrammar);
  return grammar;
}

const Tokenizer& story_tokenizer() {
  return story_grammar().tokenizer();
}

Story write_story(Rng& rng) {
  Story story;
  story_grammar().write(rng, story);
  return story;
}

StoryCorpus write_story_corpus(const std::string& directory, std::int64_t train_tokens,
                               std::int64_t val_tokens, std::uint64_t seed) {
  if (train_tokens < 1 || val_tokens < 1) {
    fail("stories: ", train_tokens, " training and ", val_tokens,
         " validation tokens, expected at least 1 each");
  }
  // If the directory cannot be created, the error is ignored, because writing the first file then reports it.
  std::error_code ignored;
  std::filesystem::create_directories(directory, ignored);
  const std::filesystem::path stem = std::filesystem::path(directory) / "stories";
  StoryCorpus corpus;
  corpus.train_path = stem.string() + "_train.bin";
  corpus.val_path = stem.string() + "_val.bin";
  corpus.tokenizer_path = stem.string() + "_tokenizer.bin";
  corpus.choices_path = stem.string() + "_choices.bin";
  corpus.train_nats =
      write_shard(corpus.train_path, train_tokens, Rng(seed, kTrainStream), corpus.train_tokens);
  corpus.val_nats = write_shard(corpus.val_path, val_tokens, Rng(seed, kValStream), corpus.val_tokens);
  story_tokenizer().write(corpus.tokenizer_path);
  write_choices(corpus.choices_path, story_choices(seed, kQuestions));
  return corpus;
}

std::vector<float> story_nats(const Shard& shard) {
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(shard.size()));
  shard.copy(0, shard.size(), tokens.data());
  std::vector<float> nats(tokens.size());
  try {
    story_grammar().score(tokens, nats);
  } catch (const Error& error) {
    fail(shard.path(), ": ", error.what());
  }
  return nats;
}

}  // namespace inkling
