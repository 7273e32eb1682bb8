// The flags --seq-len and --stride of eval and explain, which cut a text into windows (apps/text/windows.h).
#pragma once

#include <cstdint>

#include "core/error.h"
#include "nn/gpt2_config.h"

namespace inkling {

// Returns T, the most tokens of a window: --seq-len or, if that is 0, `longest`. UsageError if it is more
// than the model's maximum.
inline std::int64_t window_tokens(std::int64_t seq_len, const GPT2Config& config, std::int64_t longest) {
  const std::int64_t T = seq_len == 0 ? longest : seq_len;
  if (T > config.max_seq_len) {
    throw UsageError(
        str("--seq-len is ", T, ", expected at most the model's maximum of ", config.max_seq_len));
  }
  return T;
}

// Returns the tokens from one window to the next: --stride or, if that is 0, T. UsageError if it is more than
// T.
inline std::int64_t window_stride(std::int64_t stride, std::int64_t T) {
  if (stride > T) throw UsageError(str("--stride is ", stride, ", expected at most --seq-len, which is ", T));
  return stride == 0 ? T : stride;
}

}  // namespace inkling
