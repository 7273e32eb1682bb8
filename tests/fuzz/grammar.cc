#include "apps/text/grammar.h"

#include "apps/text/grammar_notation.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

// Stories are not written: their length can grow exponentially with the grammar's.
void grammar(Bytes bytes) {
  accepted([&] { Grammar{as_text(bytes)}; });
}

}  // namespace inkling::fuzz
