#include "apps/tokenize/tokenize_documents.h"

#include <algorithm>
#include <cmath>

#include "apps/run/format.h"
#include "apps/tokenize/chosen_tokenizer.h"
#include "apps/tokenize/parallel_encoder.h"
#include "apps/tokenize/sharded_writer.h"
#include "apps/tokenize/validation_choice.h"
#include "apps/tokenizer/pieces.h"
#include "core/error.h"

namespace inkling {

namespace {

// Returns the bytes of a token, measured on the sample. If the sample cannot be encoded, the second reading
// says where and why.
double bytes_in_a_token(const Tokenizer& tokenizer, const std::string& sample) {
  try {
    const auto tokens = std::max<std::int64_t>(std::ssize(tokenizer.encode(sample)), 1);
    return static_cast<double>(std::ssize(sample)) / static_cast<double>(tokens);
  } catch (const Error&) {
    return 1;
  }
}

// Which part of the text is for validation.
struct Split {
  bool none = false;         // no part
  bool by_document = false;  // the documents that chosen_for_validation() chooses
  std::int64_t start = 0;    // otherwise: the text from this byte on
};

// Returns the byte at which the validation part of the text begins: if possible at the start of a document,
// the last one at or before the wanted position. If this would more than double the part, it begins at the
// wanted position, inside a document.
std::int64_t validation_start(const Survey& found, std::int64_t val_bytes) {
  const std::int64_t natural = found.text_bytes - val_bytes;
  const auto after = std::upper_bound(found.starts.begin(), found.starts.end(), natural);
  const std::int64_t start = after == found.starts.begin() ? 0 : *std::prev(after);
  return start > std::max<std::int64_t>(0, natural - val_bytes) ? start : natural;
}

Split choose_split(const TokenizeSettings& settings, const Survey& found, double bytes_per_token) {
  if (settings.val_fraction == 0) return {.none = true};
  const auto n = found.text_bytes;
  const auto share = static_cast<std::int64_t>(std::ceil(settings.val_fraction * static_cast<double>(n)));
  const auto least =
      static_cast<std::int64_t>(std::ceil(static_cast<double>(settings.min_val_tokens) * bytes_per_token));
  const std::int64_t val_bytes = std::min(std::max(share, std::min(least, n / 2)), n - 1);
  return {.by_document = found.documents >= kManyDocuments && 2 * found.chosen_bytes >= val_bytes &&
                         2 * found.chosen_bytes <= n,
          .start = validation_start(found, val_bytes)};
}

// Gives the parts of a text to an encoder, with the tag true for validation.
class Distributor {
 public:
  Distributor(const Split& split, double val_fraction, ParallelEncoder& encoder)
      : split_(split), val_fraction_(val_fraction), encoder_(encoder) {}

  void add(const DocumentPart& part, const std::string& name) {
    const std::int64_t begin = at_, end = at_ += std::ssize(part.text);
    if (split_.none) {
      encoder_.add(part.text, part.begins, false, name, part.at);
    } else if (split_.by_document) {
      if (part.begins) in_val_ = chosen_for_validation(part.text, val_fraction_);
      encoder_.add(part.text, part.begins, in_val_, name, part.at);
    } else if (begin < split_.start && split_.start < end) {
      cuts_document_ = true;  // an end-of-text token is added where validation begins
      const std::size_t cut = cut_near(part.text, static_cast<std::size_t>(split_.start - begin));
      encoder_.add(part.text.substr(0, cut), part.begins, false, name, part.at);
      encoder_.add(part.text.substr(cut), true, true, name, part.at + static_cast<std::int64_t>(cut));
    } else {
      encoder_.add(part.text, part.begins || begin == split_.start, begin >= split_.start, name, part.at);
    }
  }

  std::int64_t text_bytes() const { return at_; }  // so far
  bool cuts_document() const { return cuts_document_; }

 private:
  Split split_;
  double val_fraction_;
  ParallelEncoder& encoder_;
  std::int64_t at_ = 0;
  bool in_val_ = false, cuts_document_ = false;
};

}  // namespace

TokenizeResult tokenize_documents(const TokenizeSettings& settings, Inputs& inputs, const Survey& found) {
  const ChosenTokenizer chosen = choose_tokenizer(settings, found.pieces, found.text_bytes);
  const Tokenizer& tokenizer = chosen.tokenizer;
  const Split split = choose_split(settings, found, bytes_in_a_token(tokenizer, found.sample));

  ShardedWriter train(settings.out + "_train", tokenizer.vocab_size(), settings.shard_tokens);
  ShardedWriter val(settings.out + "_val", tokenizer.vocab_size(), settings.shard_tokens);
  ParallelEncoder encoder(
      tokenizer, [&](bool in_val, std::span<const std::int32_t> ids) { (in_val ? val : train).append(ids); });
  Distributor distributor(split, settings.val_fraction, encoder);
  inputs.for_each(
      [&](const std::string& name, const DocumentPart& part) {
        distributor.add(part, name);
        settings.report(inputs.bytes() + distributor.text_bytes(), 2 * inputs.bytes());
      },
      [](const std::string& name, const Conversation&) {
        fail(name, ": a conversation, expected none, as when this file was read before");
      });
  encoder.finish();

  const std::int64_t n = train.size() + val.size() - distributor.cuts_document();
  // A row has at least one token and its target. With fewer than 8 tokens, one of two parts would be useless.
  const std::int64_t fewest = split.none ? 2 : 8;
  if (n < fewest)
    fail(settings.inputs.front(), ": the text has ", format_number_of(n, "token"), ", expected at least ",
         fewest);

  TokenizeResult result;
  write_tokenizer(settings, chosen, result);
  result.train_paths = train.commit();
  if (!split.none) result.val_paths = val.commit();
  result.documents = found.documents;
  result.text_bytes = found.text_bytes;
  result.train_tokens = train.size();
  result.val_tokens = val.size();
  result.inline_separators = found.inline_separators;
  result.not_utf8 = found.not_utf8;
  result.split_by_document = split.by_document;
  return result;
}

}  // namespace inkling
