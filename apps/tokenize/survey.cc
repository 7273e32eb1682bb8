#include "apps/tokenize/survey.h"

#include <algorithm>

#include "apps/chat/chat_template.h"
#include "apps/tokenize/chosen_tokenizer.h"
#include "apps/tokenize/validation_choice.h"
#include "apps/tokenizer/pieces.h"
#include "core/error.h"

namespace inkling {

namespace {

constexpr std::size_t kSample = std::size_t{1} << 16;  // bytes whose tokens are counted, to know their length

std::int64_t count_separators(std::string_view text) {
  std::int64_t count = 0;
  for (std::size_t at = text.find(kSeparator); at != std::string_view::npos;
       at = text.find(kSeparator, at + kSeparator.size())) {
    ++count;
  }
  return count;
}

}  // namespace

std::int64_t text_bytes(const Conversation& conversation) {
  std::int64_t bytes = 0;
  for (const Turn& turn : conversation.turns) bytes += std::ssize(turn.text);
  return bytes;
}

Survey survey(const TokenizeSettings& settings, Inputs& inputs) {
  Survey found;
  const bool count_pieces = trains_tokenizer(settings);
  bool chosen = false;
  const auto report = [&] { settings.report(found.text_bytes, 2 * inputs.bytes()); };
  const auto use_document = [&](const std::string& name, const DocumentPart& part) {
    if (part.begins) {
      ++found.documents;
      chosen = chosen_for_validation(part.text, settings.val_fraction);
      if (found.documents <= kManyDocuments) found.starts.push_back(found.text_bytes);
    }
    const auto bytes = std::ssize(part.text);
    if (found.sample.size() < kSample) found.sample += part.text.substr(0, kSample - found.sample.size());
    if (count_pieces) found.pieces.add(part.text);
    found.inline_separators += count_separators(part.text);
    if (found.not_utf8.empty()) {
      const std::size_t at = first_invalid_utf8(part.text);
      if (at != part.text.npos)
        found.not_utf8 = str(name, ": byte ", part.at + static_cast<std::int64_t>(at));
    }
    found.text_bytes += bytes;
    if (chosen) found.chosen_bytes += bytes;
    report();
  };
  const auto use_conversation = [&](const std::string&, const Conversation& conversation) {
    ++found.conversations;
    found.text_bytes += text_bytes(conversation);
    if (count_pieces) {
      for (const Turn& turn : conversation.turns) {
        found.pieces.add(turn_prefix(turn.role));
        found.pieces.add(turn.text);
      }
    }
    report();
  };
  inputs.for_each(use_document, use_conversation);
  return found;
}

}  // namespace inkling
