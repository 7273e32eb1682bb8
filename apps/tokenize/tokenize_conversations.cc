#include "apps/tokenize/tokenize_conversations.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "apps/chat/packing.h"
#include "apps/tokenize/chosen_tokenizer.h"
#include "apps/tokenize/validation_choice.h"
#include "core/error.h"

namespace inkling {

namespace {

// The results of the first reading.
struct Survey {
  PieceCounts pieces;
  std::int64_t conversations = 0, text_bytes = 0;
};

std::int64_t text_bytes(const Conversation& conversation) {
  std::int64_t bytes = 0;
  for (const Turn& turn : conversation.turns) bytes += std::ssize(turn.text);
  return bytes;
}

Survey survey(Inputs& inputs, bool count_pieces, const std::function<void(std::int64_t)>& report) {
  Survey found;
  inputs.for_each_conversation([&](const std::string&, const Conversation& conversation) {
    ++found.conversations;
    found.text_bytes += text_bytes(conversation);
    if (count_pieces) {
      for (const Turn& turn : conversation.turns) {
        found.pieces.add(turn_prefix(turn.role));
        found.pieces.add(turn.text);
      }
    }
    report(found.text_bytes);
  });
  return found;
}

std::string all_text(const Conversation& conversation) {
  std::string text;
  for (const Turn& turn : conversation.turns) (text += turn_prefix(turn.role)) += turn.text;
  return text;
}

// Says for each conversation, in order, whether it is for validation.
class Chooser {
 public:
  Chooser(double fraction, std::int64_t conversations)
      : fraction_(fraction),
        by_hash_(conversations >= kManyDocuments),
        first_(conversations -
               static_cast<std::int64_t>(std::ceil(fraction * static_cast<double>(conversations)))) {}

  bool next(const Conversation& conversation) {
    const std::int64_t number = next_++;
    return by_hash_ ? chosen_for_validation(all_text(conversation), fraction_) : number >= first_;
  }
  bool by_hash() const { return by_hash_; }

 private:
  double fraction_;
  bool by_hash_;
  std::int64_t first_, next_ = 0;
};

void require_rows(const PackedShardWriter& writer, const TokenizeSettings& settings, const char* purpose,
                  const ConversationCounts& counts) {
  if (writer.conversations() > 0) return;
  fail(settings.inputs.front(), ": no conversation is left for ", purpose, ": of ", counts.read, " read, ",
       counts.dropped, " have no exchange that fits into ", settings.seq_len + 1,
       " tokens, expected at least one; try a larger --seq-len",
       settings.val_fraction > 0 ? " or --val-fraction 0" : "");
}

}  // namespace

TokenizeResult tokenize_conversations(const TokenizeSettings& settings, Inputs& inputs) {
  if (settings.shard_tokens != 0)
    fail("tokenize: --shard-tokens is ", settings.shard_tokens,
         ", but conversations are packed into one shard; leave the flag out");
  const Survey found = survey(inputs, trains_tokenizer(settings),
                              [&](std::int64_t bytes) { settings.report(bytes, 2 * inputs.bytes()); });
  const ChosenTokenizer chosen = choose_tokenizer(settings, found.pieces, found.text_bytes);
  const Tokenizer& tokenizer = chosen.tokenizer;

  TokenizeResult result;
  ConversationCounts& counts = result.conversations;
  ChatTemplate chat_template(tokenizer);
  const std::string train_path = settings.out + "_train.bin", val_path = settings.out + "_val.bin";
  const std::int32_t V = tokenizer.vocab_size(), end_of_text = tokenizer.end_of_text();
  PackedShardWriter train(train_path, V, end_of_text, settings.seq_len);
  std::optional<PackedShardWriter> val;
  if (settings.val_fraction > 0) val.emplace(val_path, V, end_of_text, settings.seq_len);
  Chooser chooser(settings.val_fraction, found.conversations);
  inputs.for_each_conversation([&](const std::string& name, const Conversation& conversation) {
    ++counts.read;
    result.text_bytes += text_bytes(conversation);
    const bool in_val = chooser.next(conversation) && val;
    ChatTemplate::Fitted fitted;
    try {
      fitted = chat_template.fit(conversation, settings.seq_len + 1);
    } catch (const Error& error) {
      fail(name, ": ", error.what());
    }
    counts.dropped += !fitted.tokens;
    counts.shortened += fitted.dropped_turns > 0;
    counts.dropped_turns += fitted.dropped_turns;
    if (fitted.tokens) (in_val ? *val : train).add(std::move(*fitted.tokens));
    settings.report(inputs.bytes() + result.text_bytes, 2 * inputs.bytes());
  });
  require_rows(train, settings, "training", counts);
  if (val) require_rows(*val, settings, "validation", counts);

  write_tokenizer(settings, chosen, result);
  if (val) val->commit();
  train.commit();
  result.train_paths = {train_path};
  if (val) result.val_paths = {val_path};
  result.train_tokens = train.tokens();
  result.val_tokens = val ? val->tokens() : 0;
  counts.counted_tokens = train.counted_tokens() + (val ? val->counted_tokens() : 0);
  result.documents = found.conversations;
  result.split_by_document = chooser.by_hash();
  return result;
}

}  // namespace inkling
