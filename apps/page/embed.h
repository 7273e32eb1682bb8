// EMBED_FILE(name, path) puts a file of the source tree into the program: name() returns its text. Use it at
// the global scope of a .cc file, with a path relative to the root of the source tree. The Makefile compiles
// the file again when a .js or .css file changes.
#pragma once

#include <string_view>

// .pushsection and .popsection: afterwards the assembler continues in the compiler's section.
#define EMBED_FILE(name, path)                                                  \
  asm(".pushsection .rodata\n" #name "_begin:\n.incbin \"" path "\"\n" #name    \
      "_end:\n.byte 0\n.popsection\n");                                         \
  extern "C" {                                                                  \
  extern const char name##_begin[] __attribute__((visibility("hidden")));       \
  extern const char name##_end[] __attribute__((visibility("hidden")));         \
  }                                                                             \
  static std::string_view name() {                                              \
    return {name##_begin, static_cast<std::size_t>(name##_end - name##_begin)}; \
  }                                                                             \
  static_assert(true)
