#include <cstdint>
#include <cstring>

#include "apps/run/train_settings.h"
#include "tests/apps/run/fixed_precision.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

namespace {

const char* const kIntegers[] = {
    "/batch_size",   "/replicas",    "/seq_len",        "/grad_accum",        "/steps",
    "/warmup",       "/val_every",   "/val_batches",    "/sample_every",      "/save_every",
    "/model/layers", "/model/heads", "/model/channels", "/model/max_seq_len", "/model/vocab_size",
    "/local_steps"};
const char* const kNumbers[] = {"/lr",  "/min_lr",   "/weight_decay", "/beta1",    "/beta2",
                                "/eps", "/momentum", "/grad_clip",    "/outer_lr", "/outer_momentum"};
const char* const kTexts[] = {"/schedule", "/optimizer", "/precision", "/local_steps_dtype"};
// The flags --data, --val-data, --tokenizer and --init are not tested here, because they open files.

template <class T>
T take(Bytes& bytes) {
  T value{};
  const std::size_t count = std::min(bytes.size(), sizeof value);
  std::memcpy(&value, bytes.data(), count);
  bytes = bytes.subspan(count);
  return value;
}

}  // namespace

// The input is a list of flags. The first byte of each selects the flag. Then comes its value: a number of 8
// bytes, or a byte with the length of a text, and the text.
void settings(Bytes bytes) {
  TrainFlags flags;
  while (!bytes.empty()) {
    const std::size_t which =
        take<std::uint8_t>(bytes) % (std::size(kIntegers) + std::size(kNumbers) + std::size(kTexts));
    const auto flag = [&](const char* pointer) -> auto& {
      return flags.given[nlohmann::json::json_pointer(pointer)];
    };
    if (which < std::size(kIntegers)) {
      flag(kIntegers[which]) = take<std::int64_t>(bytes);
    } else if (which < std::size(kIntegers) + std::size(kNumbers)) {
      flag(kNumbers[which - std::size(kIntegers)]) = take<double>(bytes);
    } else {
      const std::size_t length = std::min<std::size_t>(take<std::uint8_t>(bytes), bytes.size());
      flag(kTexts[which - std::size(kIntegers) - std::size(kNumbers)]) = as_text(bytes.first(length));
      bytes = bytes.subspan(length);
    }
  }
  accepted([&] {
    const nlohmann::json saved = resolve(flags, test::f32_is_faster);
    require(nlohmann::json(resolve_resumed(saved, {}, "config.json")) == saved,
            "settings: the settings from the flags can be saved and resumed unchanged");
  });
}

}  // namespace inkling::fuzz
