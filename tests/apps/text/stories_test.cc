// The stories: the theoretical minimum over whole stories has the documented value, simple rules of English
// hold, and no two stories are the same.
#include "apps/text/stories.h"

#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "core/error.h"
#include "tests/catch.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;

constexpr int kStories = 3000;

std::vector<Story> some_stories() {
  std::vector<Story> stories;
  Rng rng(2024, 1);
  for (int i = 0; i < kStories; ++i) stories.push_back(write_story(rng));
  return stories;
}

std::string text_of(const Story& story) {
  return story_tokenizer().decode(std::span(story.tokens).subspan(1));
}

std::vector<std::string> words_of(const Story& story) {
  std::vector<std::string> words;
  for (std::int32_t id : std::span(story.tokens).subspan(1)) words.push_back(story_tokenizer().token(id));
  return words;
}

double sum(const std::vector<float>& nats) {
  return std::accumulate(nats.begin(), nats.end(), 0.0);
}

TEST_CASE("stories: the vocabulary has at most 512 tokens, and they are words") {
  CHECK(story_tokenizer().kind() == Tokenizer::Kind::words);
  CHECK(story_tokenizer().vocab_size() <= 512);  // fits llm.c's padding to a multiple of 128
  CHECK(story_tokenizer().end_of_text() == story_tokenizer().vocab_size() - 1);
}

TEST_CASE("stories: score() computes the same nats as the grammar while it writes") {
  for (const Story& story : some_stories()) {
    std::vector<float> nats(story.tokens.size());
    story_grammar().score(story.tokens, nats);
    REQUIRE(nats == story.nats);
  }
}

TEST_CASE("stories: the theoretical minimum over whole stories is 0.513 nats per token") {
  // 0.5131 is the mean over 200,000 random stories. A mean over 3,000 stories has a standard deviation of
  // 0.001.
  constexpr double kExpected = 0.5131, kAllowed = 0.005;
  double nats = 0, tokens = 0;
  for (const Story& story : some_stories()) {
    nats += sum(story.nats);
    tokens += static_cast<double>(story.tokens.size());
  }
  CHECK(std::abs(nats / tokens - kExpected) < kAllowed);
}

TEST_CASE("stories: they have 50 to 110 tokens, and no two are the same") {
  std::set<std::string> texts;
  for (const Story& story : some_stories()) {
    const std::size_t length = story.tokens.size() - 1;
    REQUIRE((length >= 50 && length <= 110));
    texts.insert(text_of(story));
  }
  CHECK(texts.size() == kStories);
}

TEST_CASE("stories: encoding a story's text gives its tokens") {
  for (const Story& story : some_stories()) {
    REQUIRE(story_tokenizer().encode(text_of(story)) == Ids(story.tokens.begin() + 1, story.tokens.end()));
  }
  CHECK(story_tokenizer().encode("Once upon a time, there was a").size() == 8);
}

TEST_CASE("stories: the article is an before vowels and before honest, and a before other words") {
  int times = 0;
  for (const Story& story : some_stories()) {
    const std::vector<std::string> words = words_of(story);
    for (std::size_t i = 0; i + 1 < words.size(); ++i) {
      if (words[i] != " a" && words[i] != " an") continue;
      const bool vowel =
          std::string("aeiou").find(words[i + 1][1]) != std::string::npos || words[i + 1] == " honest";
      INFO(text_of(story));
      REQUIRE((words[i] == " an") == vowel);
      ++times;
    }
  }
  CHECK(times > kStories);
}

TEST_CASE("stories: pronouns agree with the hero") {
  const std::set<std::string> male = {" boy", " He", " he", " him", " His", " his"};
  const std::set<std::string> female = {" girl", " She", " she", " Her", " her"};
  for (const Story& story : some_stories()) {
    bool he = false, she = false;
    for (const std::string& word : words_of(story)) {
      he = he || male.contains(word);
      she = she || female.contains(word);
    }
    INFO(text_of(story));
    REQUIRE(he != she);
  }
}

TEST_CASE("stories: sentences begin with a capital and end with a mark, and quotes come in pairs") {
  for (const Story& story : some_stories()) {
    const std::vector<std::string> words = words_of(story);
    INFO(text_of(story));
    bool begins = true, quoted = false;
    for (const std::string& word : words) {
      const std::string bare = word[0] == ' ' ? word.substr(1) : word;
      if (bare == "\"") {
        REQUIRE_FALSE(quoted);
        quoted = begins = true;
        continue;
      }
      if (std::isalpha(static_cast<unsigned char>(bare[0])) != 0 && begins)
        REQUIRE(std::isupper(static_cast<unsigned char>(bare[0])) != 0);
      if (bare.ends_with('"')) {
        REQUIRE(quoted);
        quoted = false;
      }
      begins = bare == "." || bare == "!" || bare == "?";  // after a closing quote the sentence may go on
    }
    REQUIRE(begins);
    REQUIRE_FALSE(quoted);
  }
}

TEST_CASE("stories: repeated names can have probability 1, at small and large distances") {
  // Repeated names with probability 1: the distances to the same name before.
  std::set<std::size_t> distances;
  for (const Story& story : some_stories()) {
    std::map<std::int32_t, std::size_t> last;
    for (std::size_t i = 1; i < story.tokens.size(); ++i) {
      const std::string& word = story_tokenizer().token(story.tokens[i]);
      if (word.size() < 3 || std::isupper(static_cast<unsigned char>(word[1])) == 0)
        continue;  // keeps names like " Tom", but also " He"
      const auto before = last.find(story.tokens[i]);
      if (before != last.end() && story.nats[i] == 0) distances.insert(i - before->second);
      last[story.tokens[i]] = i;
    }
  }
  CHECK(*distances.begin() <= 6);
  CHECK(distances.size() > 30);
  CHECK(*distances.rbegin() >= 50);
}

TEST_CASE("stories: the corpus has shards and a tokenizer, and story_nats() gives each token's -log p") {
  const TemporaryDirectory directory;
  const StoryCorpus corpus = write_story_corpus(directory / "made/here", 60'000, 20'000, 42);
  const Shard train(corpus.train_path), val(corpus.val_path);
  CHECK(train.size() == corpus.train_tokens);
  CHECK(val.size() == corpus.val_tokens);
  CHECK((train.size() >= 60'000 && train.size() < 60'120));
  CHECK((val.size() >= 20'000 && val.size() < 20'120));
  const Tokenizer tokenizer = Tokenizer::read(corpus.tokenizer_path);
  CHECK_NOTHROW(train.check_tokens(tokenizer.vocab_size()));
  CHECK(train[0] == tokenizer.end_of_text());

  const std::vector<float> floor = story_nats(val);
  REQUIRE(std::ssize(floor) == val.size());
  CHECK(std::abs(sum(floor) - corpus.val_nats) < 1e-6 * corpus.val_nats);
  CHECK(std::abs(sum(story_nats(train)) - corpus.train_nats) < 1e-6 * corpus.train_nats);
  for (std::int64_t i = 0; i < val.size(); ++i) {
    if (val[i] == tokenizer.end_of_text()) REQUIRE(floor[static_cast<std::size_t>(i)] == 0);
  }
}

TEST_CASE("stories: a seed decides the corpus, and validation stories do not depend on training stories") {
  const TemporaryDirectory directory;
  const auto files = [&](const std::string& name, std::int64_t train_tokens, std::uint64_t seed) {
    const StoryCorpus corpus = write_story_corpus(directory / name, train_tokens, 10'000, seed);
    return std::pair(test::read_text(corpus.train_path), test::read_text(corpus.val_path));
  };
  const auto first = files("a", 10'000, 1);
  CHECK(files("b", 10'000, 1) == first);
  CHECK(files("c", 20'000, 1).second == first.second);
  CHECK(files("d", 10'000, 2).second != first.second);
  CHECK(first.first != first.second);

  const auto stories_in = [&](const std::string& path) {
    const Shard shard(path);
    std::vector<Ids> stories;
    for (std::int64_t i = 0; i < shard.size(); ++i) {
      if (shard[i] == story_tokenizer().end_of_text()) stories.emplace_back();
      stories.back().push_back(shard[i]);
    }
    return stories;
  };
  const std::vector<Ids> training = stories_in(directory / "c/stories_train.bin"),
                         validation = stories_in(directory / "c/stories_val.bin");
  const std::set<Ids> learned(training.begin(), training.end());
  CHECK(validation.size() > 100);
  for (const Ids& story : validation) CHECK_FALSE(learned.contains(story));
}

TEST_CASE("stories: story_nats() of a shard with a wrong token is an error with the token's place") {
  const TemporaryDirectory directory;
  Rng rng(1);
  Story story = write_story(rng);
  story.tokens[20] = story.tokens[0];
  const std::string path = directory / "odd.bin";
  ShardWriter writer(path, story_tokenizer().vocab_size());
  writer.append(story.tokens);
  writer.commit();
  CHECK_THROWS_WITH(story_nats(Shard(path)), contains(path) && contains("token 20"));
  CHECK_THROWS_WITH(write_story_corpus(directory.path(), 0, 1, 1), contains("0 training"));
}

}  // namespace
}  // namespace inkling
