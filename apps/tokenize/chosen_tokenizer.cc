#include "apps/tokenize/chosen_tokenizer.h"

#include "apps/tokenizer/merges_files.h"

namespace inkling {

bool trains_tokenizer(const TokenizeSettings& settings) {
  return settings.tokenizer_path.empty() && !settings.bytes;
}

ChosenTokenizer choose_tokenizer(const TokenizeSettings& settings, const PieceCounts& pieces,
                                 std::int64_t text_bytes) {
  if (settings.bytes) return {Tokenizer::bytes()};
  if (!trains_tokenizer(settings)) return {Tokenizer::read(settings.tokenizer_path)};
  const std::int32_t wanted =
      settings.vocab_size == 0 ? suitable_vocabulary(text_bytes) : settings.vocab_size;
  Tokenizer trained = train_bpe(pieces, wanted);
  const bool no_pair_left = trained.vocab_size() < wanted;
  return {std::move(trained), no_pair_left, pieces.sampled()};
}

void write_tokenizer(const TokenizeSettings& settings, const ChosenTokenizer& chosen,
                     TokenizeResult& result) {
  result.tokenizer_path = settings.out + "_tokenizer.bin";
  result.vocab_size = chosen.tokenizer.vocab_size();
  result.no_pair_left = chosen.no_pair_left;
  result.sampled_pieces = chosen.sampled_pieces;
  // First what can fail because of a wrong path: then the tokenizer beside older shards is still theirs.
  if (!settings.hf_directory.empty()) write_merges_directory(chosen.tokenizer, settings.hf_directory);
  chosen.tokenizer.write(result.tokenizer_path);
}

std::int32_t suitable_vocabulary(std::int64_t text_bytes) {
  if (text_bytes < std::int64_t{1} << 15) return 257 + static_cast<std::int32_t>(text_bytes >> 7);
  std::int32_t vocab_size = 512;
  for (std::int64_t enough = std::int64_t{1} << 18; text_bytes >= enough && vocab_size < 32768; enough *= 4)
    vocab_size *= 2;
  return vocab_size;
}

}  // namespace inkling
