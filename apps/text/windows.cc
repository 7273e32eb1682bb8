#include "apps/text/windows.h"

#include <algorithm>

#include "apps/run/format.h"
#include "apps/text/label_shift.h"
#include "core/error.h"
#include "core/parallel.h"

namespace inkling {

Windows::Windows(const std::vector<std::string>& paths, std::int64_t B, std::int64_t T,
                 std::int64_t vocab_size, std::int32_t end_of_text, LossMask mask, std::int64_t stride)
    : B_(B), T_(T), stride_(stride == 0 ? T : stride), end_of_text_(end_of_text) {
  if (B < 1 || T < 1) fail("windows: B=", B, " and T=", T, ", expected 1 or more each");
  if (stride_ < 1 || stride_ > T) fail("windows: stride is ", stride_, ", expected 1 to T=", T);
  if (paths.empty()) fail("windows: no shards, expected at least one");
  std::int64_t windows = 0;
  for (const std::string& path : paths) {
    const DataShard& shard = shards_.emplace_back(path, mask);
    shard.check_row_tokens(T);
    if (shard.size() < 2)
      fail(path, ": has ", format_number_of(shard.size(), "token"),
           ", expected at least 2, so that there is a token to predict");
    shard.tokens().check_tokens(vocab_size);
    targets_ += shard.counted(target_of(0), shard.size());
    Window window;
    do {
      ++windows;
    } while (advance(shard, window));
  }
  expect_counted_targets(targets_, paths);
  B_ = std::min(B, windows);
  batches_ = ceil_div(windows, B_);
}

bool Windows::has_loss_mask() const {
  return std::any_of(shards_.begin(), shards_.end(), [](const DataShard& s) { return s.has_loss_mask(); });
}

std::int64_t Windows::count_at(const DataShard& shard, std::int64_t first) const {
  const std::int64_t most = std::min(T_, shard.size() - 1 - first);
  if (end_of_text_ < 0) return most;
  for (std::int64_t i = 1; i < most; ++i) {
    if (shard.begins_document(first + i, end_of_text_)) return i;
  }
  return most;
}

bool Windows::advance(const DataShard& shard, Window& window) const {
  const std::int64_t end = window.first + count_at(shard, window.first);  // the last target
  if (end == shard.size() - 1) return false;
  if (end_of_text_ >= 0 && shard.begins_document(end, end_of_text_)) {
    window = {end, 0};
  } else {
    window = {window.first + stride_, T_ - stride_};
  }
  return true;
}

bool Windows::next(std::int32_t* inputs, std::int32_t* targets, std::int32_t* positions) {
  if (shard_ == shards_.size()) return false;
  std::fill(inputs, inputs + B_ * T_, 0);
  std::fill(targets, targets + B_ * T_, -1);
  if (positions != nullptr) std::fill(positions, positions + B_ * T_, 0);
  for (std::int64_t b = 0; b < B_ && shard_ < shards_.size(); ++b) {
    const DataShard& shard = shards_[shard_];
    const std::int64_t first = window_.first, count = count_at(shard, first);
    copy_row(shard, first, count, inputs + b * T_, targets + b * T_);
    std::fill(targets + b * T_, targets + b * T_ + window_.seen, -1);
    if (positions != nullptr) shard.copy_positions(first, count, -1, positions + b * T_);
    if (advance(shard, window_)) continue;
    ++shard_;
    window_ = {};
  }
  return true;
}

}  // namespace inkling
