#include "apps/text/grammar.h"

#include "apps/text/grammar_notation.h"
#include "tests/fuzz/targets.h"

namespace inkling::fuzz {

// Only reads the grammar and writes no story, because the length of a story can grow exponentially with the
// length of the grammar.
void grammar(Bytes bytes) {
  accepted([&] { Grammar{as_text(bytes)}; });
}

}  // namespace inkling::fuzz
