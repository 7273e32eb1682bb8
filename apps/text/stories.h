// Stories: the default corpus of short children's stories. A grammar that knows the probability of each token
// writes them.
//
// Because the probabilities are known, the lowest possible loss on these stories can be computed: the
// *theoretical minimum*, in nats per token. No model can have a lower mean loss, however large it is. A model
// reaches the minimum only if it learns everything: words, grammar, how a story goes on, and looking back in
// the text (who is the story about? what was lost, and which colour did it have?). There are more than 10^15
// stories, so a model cannot memorise them.
//
// There are two means, so there are two minima. For the validation shard of `make train`:
//   minimum over rows           0.5738   over the targets of a validation: rows of T = 128 tokens that start
//                                        at the beginning of a story and end inside the next one
//   minimum over whole stories  0.5143   over all tokens of the shard (over 200,000 stories: 0.5131)
// The minimum over rows is higher, because rows have more beginnings of stories than ends, and a beginning is
// harder to predict.
//
// grammar.h explains how the grammar works; stories_grammar.cc contains the stories.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/text/grammar.h"
#include "apps/text/shard.h"
#include "apps/tokenizer/tokenizer.h"

namespace inkling {

// The grammar of the stories, compiled on first use, and its tokenizer. Thread-safe.
const Grammar& story_grammar();
const Tokenizer& story_tokenizer();

// Writes one story, with the next random numbers of the stream `rng`.
Story write_story(Rng& rng);

struct StoryCorpus {
  std::string train_path, val_path, tokenizer_path, choices_path;
  std::int64_t train_tokens = 0, val_tokens = 0;
  // Sums over all tokens. Divided by the number of tokens, they are the minimum over whole stories.
  double train_nats = 0, val_nats = 0;
};

// Writes stories_train.bin, stories_val.bin, stories_tokenizer.bin and stories_choices.bin (500
// multiple-choice questions, story_choices.h) into `directory`, which is created if needed. A shard has only
// whole stories, and just enough of them for the given number of tokens. The training and the validation
// shard use separate streams of random numbers, so the length of one shard does not change the other shard.
// The same seed writes the same bytes on every machine.
StoryCorpus write_story_corpus(const std::string& directory, std::int64_t train_tokens,
                               std::int64_t val_tokens, std::uint64_t seed);

// Computes -log p(token | the story so far) for each token of a shard of stories. It needs only the tokens,
// so it works for any shard that the grammar of the stories can write. Error at the first token that the
// grammar cannot write; the Error names the token. To compare the result with a loss, add the nats of the
// same targets. The model must have seen each target's story from its beginning
// (BatchSettings::align_documents).
std::vector<float> story_nats(const Shard& shard);

}  // namespace inkling
