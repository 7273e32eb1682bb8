#include "apps/text/token_flags.h"

#include <cstdint>

#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

void token_flags(Bytes bytes) {
  for (const FlagKind& kind : {kLossMask, kDocumentStarts}) {
    FlagLayout layout;
    const auto parse = [&] {
      ByteReader in(bytes, "flags");
      layout = parse_token_flags(in, kind);
    };
    if (!accepted(parse)) continue;
    const TokenFlags flags(kind, put("flags", bytes), layout.count);
    std::int64_t ones = 0;
    for (std::int64_t i = 0; i < layout.count; ++i) ones += flags[i] ? 1 : 0;
    require(ones == flags.count(0, layout.count), "token flags: count() and [] agree");
  }
}

}  // namespace inkling::fuzz
