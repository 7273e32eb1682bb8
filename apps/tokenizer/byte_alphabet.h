// GPT-2's byte alphabet: a printable character for each of the 256 bytes, so that text files can hold tokens.
//
// GPT-2's files encoder.json and vocab.bpe, Hugging Face's vocab.json and merges.txt, and GGUF files write a
// token as one character for each of its bytes. The bytes ! to ~, 0xA1 to 0xAC and 0xAE to 0xFF are written
// as the code point of the same number. The other 68 bytes (control characters, the space, 0x7F to 0xA0 and
// 0xAD) are written, in order, as the code points 256 to 323; so a space is written as U+0120. All texts are
// UTF-8. This file does not know which bytes are a token.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace inkling {

// Returns the characters of the bytes, as UTF-8.
std::string to_byte_alphabet(std::string_view bytes);

// Returns the bytes that the characters stand for; nothing if the text has a character outside of the
// alphabet or is not UTF-8. from_byte_alphabet(to_byte_alphabet(bytes)) is `bytes` for all bytes.
std::optional<std::string> from_byte_alphabet(std::string_view text);

}  // namespace inkling
