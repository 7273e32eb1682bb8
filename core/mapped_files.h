// Handles a mapped file that another program shortens while this program reads it. The kernel then sends
// SIGBUS, and without a handler the process would end without a message.
//
// A signal handler may call only a few functions (man 7 signal-safety). So each mapping is remembered in a
// fixed table of atomics, which the handler can search on any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace inkling {

// FileView (core/binary_file.h) calls these two functions. If the table is full, the mapping is not
// remembered; then the message does not name the file.
void remember_mapping(std::span<const std::byte> bytes, const std::string& path);
void forget_mapping(std::span<const std::byte> bytes);

// From now on, reading a missing part of a mapped file prints one line that names the file to stderr, and
// ends the process with exit status 1. Several threads may read missing parts at the same time. Other causes
// of SIGBUS end the process as usual. Only a program may call this: a library must not install signal
// handlers on its own.
void report_shortened_files();

}  // namespace inkling
