// What happens if a mapped file is shortened by another program while this one reads it: the kernel sends
// SIGBUS. Without a handler the process would end without a word.
//
// A signal handler may call only a few functions (man 7 signal-safety). So each mapping is remembered in a
// fixed table of atomics, which the handler can search on any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace inkling {

// FileView (core/binary_file.h) calls these two. If the table is full, a mapping is not remembered; then the
// message does not name its file.
void remember_mapping(std::span<const std::byte> bytes, const std::string& path);
void forget_mapping(std::span<const std::byte> bytes);

// From now on, reading a missing part of a mapped file prints one line that names the file to stderr, and
// ends the process with exit status 1. Several threads may read missing parts at the same time. Other causes
// of SIGBUS end the process as usual. For programs; a library must not install signal handlers unasked.
void report_shortened_files();

}  // namespace inkling
