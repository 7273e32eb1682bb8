// The default corpus: short children's stories, written by a grammar that knows how likely each token was.
//
// So the best possible loss on these stories is not guessed but computed: the *theoretical minimum*, in nats
// per token, that no model can beat on average however large it is. It is about 0.54 here. A model reaches it
// only by learning all there is: words, grammar, how stories go, and to look back for what was said (who is
// it about? what was lost, and of which colour?). There are more than 10^15 stories, so none is learnt by
// heart.
//
// How it works: grammar.h. What the stories are about: stories_grammar.cc.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/text/grammar.h"
#include "apps/text/shard.h"
#include "apps/text/tokenizer.h"

namespace inkling {

// Compiled at first use. Thread safe.
const Grammar& story_grammar();
const Tokenizer& story_tokenizer();

// One more story of a stream of random numbers.
Story write_story(Rng& rng);

struct StoryCorpus {
  std::string train_path, val_path, tokenizer_path;
  std::int64_t train_tokens = 0, val_tokens = 0;
  double train_nats = 0, val_nats = 0;  // summed over the tokens; divide for the theoretical minimum
};

// Writes stories_train.bin, stories_val.bin and stories_tokenizer.bin into `directory`, which is made if need
// be. The shards hold whole stories, the fewest that reach the given number of tokens. Training and
// validation draw from streams of their own, so more of one never changes the other. The same seed writes the
// same bytes everywhere.
StoryCorpus write_story_corpus(const std::string& directory, std::int64_t train_tokens,
                               std::int64_t val_tokens, std::uint64_t seed);

// For each token of a shard of stories, -log p(token | its story so far). Found from the tokens alone, so it
// holds for any shard that this grammar could have written; Error naming the first token that it could not.
// To compare with a loss, sum the nats of the same targets, each of which must have been asked for with its
// story's beginning in view (BatchSettings::align_documents).
std::vector<float> story_floor(const Shard& shard);

}  // namespace inkling
