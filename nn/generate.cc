#include "nn/generate.h"

#include <algorithm>
#include <vector>

#include "core/error.h"

namespace inkling {

std::int64_t generate(GPT2& model, std::span<const std::int32_t> prompt, const GenerateSettings& settings,
                      Rng& rng, const std::function<bool(std::int32_t)>& on_token) {
  if (prompt.empty()) fail("generate: the prompt is empty, expected at least one token");
  const GPT2Config& config = model.config();
  Sampler sampler(settings.sampler);
  KvCache cache(config, 1);
  Tape tape(Recording::off);

  std::vector<std::int32_t> context(prompt.begin(), prompt.end());
  std::int64_t unread = std::ssize(context);  // ids at the end of the context that the model has not seen
  std::int64_t made = 0;
  while (made < settings.max_tokens) {
    if (cache.length() + unread > config.max_seq_len) {  // full: keep the newer half
      const std::int64_t kept =
          std::min(std::ssize(context), std::max<std::int64_t>(1, config.max_seq_len / 2));
      context.erase(context.begin(), context.end() - kept);
      cache.clear();
      unread = kept;
    }
    tape.clear();
    const Tensor ids(context.data() + std::ssize(context) - unread, {1, unread});
    const Tensor logits = model.next_logits(tape, ids, cache);
    const auto vocab = static_cast<std::size_t>(config.vocab_size);
    const std::int32_t next = sampler.sample({logits.f32(), vocab}, rng);
    if (next == settings.stop_token) break;
    ++made;
    if (!on_token(next)) break;
    context.push_back(next);
    unread = 1;
  }
  return made;
}

}  // namespace inkling
