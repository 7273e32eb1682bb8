#include "core/mapped_files.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <memory>

namespace inkling {

namespace {

constexpr std::size_t kMostMappings = 1024;

struct Mapping {
  std::atomic<bool> taken = false;
  std::atomic<const std::byte*> begin = nullptr;  // nullptr: the other members are not valid
  std::atomic<std::size_t> size = 0;
  std::unique_ptr<char[]> path;
};

std::array<Mapping, kMostMappings>& table() {
  static std::array<Mapping, kMostMappings> mappings;
  return mappings;
}

// Returns nullptr if no mapping has this address. Another thread may use a place of the table again while
// this one reads it; then `begin` has changed.
const char* path_at(const std::byte* address) {
  for (const Mapping& mapping : table()) {
    const std::byte* begin = mapping.begin.load(std::memory_order_acquire);
    if (begin == nullptr || address < begin || address >= begin + mapping.size.load()) continue;
    if (mapping.begin.load() == begin) return mapping.path.get();
  }
  return nullptr;
}

// One line and one write(), so that no other output can get into the middle of the line.
void print_shortened(const char* path) {
  static char line[8192];  // the longest path has 4,096 bytes
  std::size_t length = 0;
  const char* tail = ": the file became shorter while it was read, expected it to stay as it was\n";
  for (const char* part : {"inkling: ", path, tail}) {
    const std::size_t more = std::min(std::strlen(part), sizeof line - length);
    std::memcpy(line + length, part, more);
    length += more;
  }
  if (write(STDERR_FILENO, line, length) < 0) return;  // if this fails, no message can be printed at all
}

void on_bus_error(int signal, siginfo_t* info, void* /*context*/) {
  static std::atomic_flag reported = ATOMIC_FLAG_INIT;
  if (info->si_code != BUS_ADRERR) {  // not a missing part of a file: the signal ends the process as usual
    ::signal(signal, SIG_DFL);
    raise(signal);
    return;
  }
  if (reported.test_and_set()) {  // another thread read the file, too, and is about to end the process
    for (;;) pause();
  }
  const char* path = path_at(static_cast<const std::byte*>(info->si_addr));
  print_shortened(path == nullptr ? "a mapped file" : path);
  _exit(1);
}

}  // namespace

void remember_mapping(std::span<const std::byte> bytes, const std::string& path) {
  for (Mapping& mapping : table()) {
    if (mapping.taken.exchange(true)) continue;
    mapping.size = bytes.size();
    mapping.path = std::make_unique<char[]>(path.size() + 1);
    std::memcpy(mapping.path.get(), path.c_str(), path.size() + 1);
    mapping.begin.store(bytes.data(), std::memory_order_release);
    return;
  }
}

void forget_mapping(std::span<const std::byte> bytes) {
  for (Mapping& mapping : table()) {
    if (mapping.begin.load(std::memory_order_relaxed) != bytes.data()) continue;
    mapping.begin.store(nullptr);
    mapping.taken.store(false);
    return;
  }
}

void report_shortened_files() {
  table();  // created now, because the handler must not create it
  struct sigaction action = {};
  action.sa_sigaction = on_bus_error;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace inkling
