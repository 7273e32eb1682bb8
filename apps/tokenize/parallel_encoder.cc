#include "apps/tokenize/parallel_encoder.h"

#include <algorithm>

#include "apps/tokenizer/pieces.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

namespace {

constexpr std::size_t kTogether = std::size_t{8} << 20;  // bytes that are encoded together
constexpr std::size_t kText = std::size_t{1} << 18;      // longer texts are cut

}  // namespace

ParallelEncoder::ParallelEncoder(const Tokenizer& tokenizer, Sink sink)
    : tokenizer_(&tokenizer),
      sink_(std::move(sink)),
      encoders_(static_cast<std::size_t>(threads()), TextEncoder(tokenizer)) {}

void ParallelEncoder::add(std::string_view text, bool begins, bool tag, const std::string& file,
                          std::int64_t at) {
  while (!text.empty()) {
    std::size_t size = text.size() > kText ? cut_before(text, kText) : text.size();
    if (size == 0) size = text.size();
    texts_.push_back({buffer_.size(), size, begins, tag, file, at});
    buffer_ += text.substr(0, size);
    text.remove_prefix(size);
    at += static_cast<std::int64_t>(size);
    begins = false;
  }
  if (buffer_.size() >= kTogether) finish();
}

void ParallelEncoder::encode(Share& share, TextEncoder& encoder) const {
  share.ids.clear();
  share.counts.clear();
  share.error.clear();
  for (std::size_t i = share.first; i < share.end; ++i) {
    const Text& text = texts_[i];
    const std::size_t before = share.ids.size();
    if (text.begins) share.ids.push_back(tokenizer_->end_of_text());
    try {
      encoder.encode(std::string_view(buffer_).substr(text.begin, text.size), share.ids);
    } catch (const Error& error) {
      share.error = str(text.file, ": the text from byte ", text.at, " on: ", error.what());
      return;
    }
    share.counts.push_back(share.ids.size() - before);
  }
}

void ParallelEncoder::finish() {
  shares_.resize(encoders_.size());
  std::size_t next = 0;
  for (std::size_t s = 0; s < shares_.size(); ++s) {
    const std::size_t until = buffer_.size() * (s + 1) / shares_.size();
    shares_[s].first = next;
    while (next < texts_.size() && texts_[next].begin + texts_[next].size <= until) ++next;
    shares_[s].end = next;
  }
  parallel_chunks(std::ssize(shares_), [&](std::int64_t s) {
    encode(shares_[static_cast<std::size_t>(s)], encoders_[static_cast<std::size_t>(s)]);
  });
  for (const Share& share : shares_) {
    if (!share.error.empty()) fail(share.error);
    std::size_t begin = 0;
    for (std::size_t i = share.first; i < share.end; ++i) {
      const std::size_t count = share.counts[i - share.first];
      sink_(texts_[i].tag, std::span(share.ids).subspan(begin, count));
      begin += count;
    }
  }
  buffer_.clear();
  texts_.clear();
}

std::size_t cut_near(std::string_view text, std::size_t at) {
  const std::size_t cut = cut_before(text, at);
  return cut > 0 ? cut : character_start(text, at);
}

}  // namespace inkling
