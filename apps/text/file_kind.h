// The kind of a file, recognised by its first bytes. If a user gives the wrong file, the error can name it:
// "my.bin: is a model checkpoint of llm.c, expected text".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace inkling {

// The magic number of llm.c's debug states. inkling reads only their header.
constexpr std::int32_t kDebugStateMagic = 20240327;

struct FileKind {
  std::string_view name;  // for example "a PNG image"; empty: unknown
  std::string_view hint;  // what to do with such a file instead; may be empty
};

// Returns the kind of a file that begins with `bytes`. 512 bytes are enough.
FileKind file_kind(std::string_view bytes);

// Returns whether `bytes`, the beginning of a file, look like text: UTF-8 without control characters other
// than white space.
bool looks_like_text(std::string_view bytes);

// Error if a file that begins with `bytes` is of a known kind that is not text. Unknown bytes are accepted.
// `name` is the file's name, for the message.
void expect_text(const std::string& name, std::string_view bytes);

// Error if a file that begins with `bytes` is of a known kind, or is text. Call it for a file that is not a
// token shard.
void refuse_as_shard(const std::string& name, std::string_view bytes);

}  // namespace inkling
