#include "apps/tokenize/tokenize_conversations.h"

#include <cmath>
#include <optional>

#include "apps/chat/packing.h"
#include "apps/chat/row_entries.h"
#include "apps/tokenize/chosen_tokenizer.h"
#include "apps/tokenize/validation_choice.h"
#include "core/error.h"

namespace inkling {

namespace {

std::string all_text(const Conversation& conversation) {
  std::string text;
  for (const Turn& turn : conversation.turns) (text += turn_prefix(turn.role)) += turn.text;
  return text;
}

// Says for each conversation and document, in order, whether it is for validation.
class Chooser {
 public:
  Chooser(double fraction, const Survey& found)
      : fraction_(fraction),
        by_hash_(found.conversations + found.documents >= kManyDocuments),
        first_(found.conversations -
               static_cast<std::int64_t>(std::ceil(fraction * static_cast<double>(found.conversations)))) {}

  bool conversation(const Conversation& conversation) {
    const std::int64_t number = next_++;
    return by_hash_ ? chosen_for_validation(all_text(conversation), fraction_) : number >= first_;
  }
  // If there are few entries, the validation is about answers only.
  bool document(const DocumentPart& part) {
    if (part.begins) in_val_ = by_hash_ && chosen_for_validation(part.text, fraction_);
    return in_val_;
  }
  bool by_hash() const { return by_hash_; }

 private:
  double fraction_;
  bool by_hash_, in_val_ = false;
  std::int64_t first_, next_ = 0;
};

void require_rows(const PackedShardWriter& writer, const TokenizeSettings& settings, const char* purpose,
                  const EntryCounts& counts) {
  if (writer.conversations() > 0) return;
  fail(settings.inputs.front(), ": no conversation is left for ", purpose, ": of ", counts.conversations,
       " read, ", counts.dropped, counts.dropped == 1 ? " has" : " have", " no exchange that fits into ",
       settings.seq_len + 1, " tokens, expected at least one; try a larger --seq-len",
       settings.val_fraction > 0 ? " or --val-fraction 0" : "");
}

}  // namespace

TokenizeResult tokenize_conversations(const TokenizeSettings& settings, Inputs& inputs, const Survey& found) {
  if (settings.shard_tokens != 0)
    fail("tokenize: --shard-tokens is ", settings.shard_tokens,
         ", but conversations are packed into one shard; leave the flag out");
  const ChosenTokenizer chosen = choose_tokenizer(settings, found.pieces, found.text_bytes);
  const Tokenizer& tokenizer = chosen.tokenizer;

  TokenizeResult result;
  RowEntries entries(tokenizer, settings.seq_len);
  const std::string train_path = settings.out + "_train.bin", val_path = settings.out + "_val.bin";
  const std::int32_t V = tokenizer.vocab_size(), end_of_text = tokenizer.end_of_text();
  PackedShardWriter train(train_path, V, end_of_text, settings.seq_len);
  std::optional<PackedShardWriter> val;
  if (settings.val_fraction > 0) val.emplace(val_path, V, end_of_text, settings.seq_len);
  Chooser chooser(settings.val_fraction, found);
  // Encodes one input; an error gets the input's name.
  const auto encode = [&](const std::string& name, std::int64_t bytes, auto&& add_entries) {
    try {
      add_entries();
    } catch (const Error& error) {
      fail(name, ": ", error.what());
    }
    result.text_bytes += bytes;
    settings.report(inputs.bytes() + result.text_bytes, 2 * inputs.bytes());
  };
  inputs.for_each(
      [&](const std::string& name, const DocumentPart& part) {
        PackedShardWriter& writer = chooser.document(part) && val ? *val : train;
        encode(name, std::ssize(part.text), [&] {
          entries.document(part.text, part.begins, part.ends,
                           [&](ChatTokens&& entry) { writer.add(std::move(entry)); });
        });
      },
      [&](const std::string& name, const Conversation& conversation) {
        PackedShardWriter& writer = chooser.conversation(conversation) && val ? *val : train;
        encode(name, text_bytes(conversation), [&] {
          ChatTemplate::Fitted fitted = entries.conversation(conversation);
          if (fitted.tokens) writer.add(std::move(*fitted.tokens));
        });
      });
  result.entries = entries.counts();
  require_rows(train, settings, "training", result.entries);
  if (val) require_rows(*val, settings, "validation", result.entries);

  write_tokenizer(settings, chosen, result);
  if (val) val->commit();
  train.commit();
  result.train_paths = {train_path};
  if (val) result.val_paths = {val_path};
  result.train_tokens = train.tokens();
  result.val_tokens = val ? val->tokens() : 0;
  result.counted_tokens = train.counted_tokens() + (val ? val->counted_tokens() : 0);
  result.documents = found.documents;
  result.conversations = found.conversations;
  result.inline_separators = found.inline_separators;
  result.not_utf8 = found.not_utf8;
  result.split_by_document = chooser.by_hash();
  return result;
}

}  // namespace inkling
