// The default corpus: short children's stories, written by a grammar that knows the probability of each
// token.
//
// So the lowest possible loss on these stories can be computed: the *theoretical minimum*, in nats per token.
// No model can have a lower mean loss, however large it is. A model reaches it only if it learns everything:
// words, grammar, the course of a story, and looking back in the text (who is the story about? what was lost,
// and which colour did it have?). There are more than 10^15 stories, so a model cannot memorise them.
//
// There are two means, so there are two minima. For the validation shard of `make train`:
//   minimum over rows           0.5738   over the targets of a validation: rows of T = 128 tokens that start
//                                        at the beginning of a story and end inside the next one
//   minimum over whole stories  0.5143   over all tokens of the shard (over 200,000 stories: 0.5131)
// The minimum over rows is higher, because rows have more beginnings of stories than ends, and a beginning is
// harder to predict.
//
// grammar.h explains how it works; stories_grammar.cc contains the stories.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/text/grammar.h"
#include "apps/text/shard.h"
#include "apps/text/tokenizer.h"

namespace inkling {

// Compiled on first use. Thread-safe.
const Grammar& story_grammar();
const Tokenizer& story_tokenizer();

// Writes one more story from a stream of random numbers.
Story write_story(Rng& rng);

struct StoryCorpus {
  std::string train_path, val_path, tokenizer_path;
  std::int64_t train_tokens = 0, val_tokens = 0;
  // Sums over all tokens. Divided by the number of tokens, they are the minimum over whole stories.
  double train_nats = 0, val_nats = 0;
};

// Writes stories_train.bin, stories_val.bin and stories_tokenizer.bin into `directory`, which is created if
// needed. A shard has only whole stories, and just enough of them for the given number of tokens. Training
// and validation use separate streams of random numbers, so the length of one does not change the other. The
// same seed writes the same bytes everywhere.
StoryCorpus write_story_corpus(const std::string& directory, std::int64_t train_tokens,
                               std::int64_t val_tokens, std::uint64_t seed);

// For each token of a shard of stories, -log p(token | its story so far). It is computed from the tokens
// alone, so it works for any shard that this grammar can write. Error, which names the token, at the first
// token that the grammar cannot write. To compare with a loss, add the nats of the same targets. The model
// must have seen each target's story from its beginning (BatchSettings::align_documents).
std::vector<float> story_nats(const Shard& shard);

}  // namespace inkling
