#include "apps/text/file_kind.h"

#include <algorithm>
#include <cstring>

#include "apps/run/optimizer_file.h"
#include "apps/text/choices.h"
#include "apps/text/shard.h"
#include "apps/text/token_flags.h"
#include "apps/tokenizer/pieces.h"
#include "apps/tokenizer/tokenizer.h"
#include "core/error.h"
#include "nn/checkpoint.h"

namespace inkling {

namespace {

using namespace std::string_view_literals;

struct MagicNumber {
  std::int32_t magic;
  FileKind kind;
};
constexpr MagicNumber kMagicNumbers[] = {
    {kModelMagic, {"a model checkpoint of llm.c", ""}},
    {kDebugStateMagic, {"a debug state of llm.c", ""}},
    {kTokenizerMagic, {"a tokenizer of llm.c", "use it with --tokenizer"}},
    {kShardMagic, {"a token shard of llm.c", "it is tokenized already, so train on it with --data"}},
    {kWideShardMagic, {"a token shard of llm.c", "it is tokenized already, so train on it with --data"}},
    {kChoicesMagic, {"a file of multiple-choice questions", "use it with inkling eval --choices"}},
    {kOptimizerMagic, {"the state of an optimiser", ""}},
    {kLossMask.magic, {"a loss mask", "it belongs to the shard beside it"}},
    {kDocumentStarts.magic, {"a file of document starts", "it belongs to the shard beside it"}},
};

struct Signature {
  std::size_t at;  // the byte at which the signature begins
  std::string_view bytes;
  FileKind kind;
};
constexpr Signature kSignatures[] = {
    // The byte-order mark of UTF-32 in the order of most machines begins with the mark of UTF-16.
    {0, "\xff\xfe\0\0"sv, {"UTF-32", "convert it first with iconv -f UTF-32 -t UTF-8"}},
    {0, "\0\0\xfe\xff"sv, {"UTF-32", "convert it first with iconv -f UTF-32 -t UTF-8"}},
    {0, "\xff\xfe"sv, {"UTF-16", "convert it first with iconv -f UTF-16 -t UTF-8"}},
    {0, "\xfe\xff"sv, {"UTF-16", "convert it first with iconv -f UTF-16 -t UTF-8"}},
    {0, "GGUF"sv, {"a GGUF model of llama.cpp", ""}},
    {0, "\x1f\x8b"sv, {"compressed with gzip", "decompress it first with gunzip"}},
    {0, "\xfd\x37zXZ\0"sv, {"compressed with xz", "decompress it first with unxz"}},
    {0, "\x28\xb5\x2f\xfd"sv, {"compressed with zstd", "decompress it first with unzstd"}},
    {4, "\x31\x41\x59\x26\x53\x59"sv, {"compressed with bzip2", "decompress it first with bunzip2"}},
    {0, "PK\x03\x04"sv, {"a zip archive (as are .docx, .xlsx, .epub and .pt files)", "unpack it first"}},
    {0, "7z\xbc\xaf\x27\x1c"sv, {"a 7z archive", "unpack it first"}},
    {257, "ustar"sv, {"a tar archive", "unpack it first with tar -xf"}},
    {0, "\x89PNG\r\n\x1a\n"sv, {"a PNG image", ""}},
    {0, "\xff\xd8\xff"sv, {"a JPEG image", ""}},
    {0, "GIF8"sv, {"a GIF image", ""}},
    {0, "%PDF-"sv, {"a PDF document", "extract its text first, for example with pdftotext"}},
    {0,
     "\x7f"
     "ELF"sv,
     {"a program or library (ELF)", ""}},
    {0, "PAR1\x15"sv, {"a Parquet table", "write its texts as JSON lines first"}},
    {0, "SQLite format 3\0"sv, {"an SQLite database", ""}},
    {0, "\x93NUMPY"sv, {"a NumPy array", ""}},
};

// safetensors: the length of the header in 8 bytes, and then the header, which is JSON. The header has at
// most 1e8 bytes, so the upper 4 bytes of its length are 0, and text has no such bytes.
bool is_safetensors(std::string_view bytes) {
  return bytes.size() > 8 && bytes.substr(4, 4) == "\0\0\0\0"sv && bytes[8] == '{';
}

std::string with_hint(const FileKind& kind) {
  return kind.hint.empty() ? "" : str("; ", kind.hint);
}

}  // namespace

FileKind file_kind(std::string_view bytes) {
  std::int32_t magic = 0;
  std::memcpy(&magic, bytes.data(), std::min(bytes.size(), sizeof magic));
  for (const MagicNumber& known : kMagicNumbers) {
    if (known.magic == magic) return known.kind;
  }
  for (const Signature& known : kSignatures) {
    if (bytes.size() >= known.at && bytes.substr(known.at).starts_with(known.bytes)) return known.kind;
  }
  if (is_safetensors(bytes)) return {"a safetensors model", "inkling convert reads it"};
  return {};
}

bool looks_like_text(std::string_view bytes) {
  // The last character may be incomplete.
  constexpr std::size_t kLongestCharacter = 4;
  if (bytes.empty() || std::min(first_invalid_utf8(bytes), bytes.size()) + kLongestCharacter <= bytes.size())
    return false;
  return std::none_of(bytes.begin(), bytes.end(), [](char c) {
    const bool white_space = c == ' ' || (c >= '\t' && c <= '\r');
    return (static_cast<unsigned char>(c) < ' ' && !white_space) || c == 127;
  });
}

void expect_text(const std::string& name, std::string_view bytes) {
  const FileKind kind = file_kind(bytes);
  if (!kind.name.empty()) fail(name, ": is ", kind.name, ", expected text in UTF-8", with_hint(kind));
}

void refuse_as_shard(const std::string& name, std::string_view bytes) {
  const FileKind kind = file_kind(bytes);
  if (!kind.name.empty()) fail(name, ": is ", kind.name, ", expected a token shard");
  if (looks_like_text(bytes))
    fail(name, ": is text, expected a token shard; make shards of it with inkling tokenize --input");
}

}  // namespace inkling
