#include "core/mapped_files.h"

#include <signal.h>
#include <unistd.h>

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
  std::size_t size = 0;
  std::unique_ptr<char[]> path;
};

std::array<Mapping, kMostMappings>& table() {
  static std::array<Mapping, kMostMappings> mappings;
  return mappings;
}

void print(const char* text) {
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;  // there is nobody left to tell
}

const char* path_at(const std::byte* address) {
  for (const Mapping& mapping : table()) {
    const std::byte* begin = mapping.begin.load(std::memory_order_acquire);
    if (begin != nullptr && begin <= address && address < begin + mapping.size) return mapping.path.get();
  }
  return "a mapped file";
}

void on_bus_error(int /*signal*/, siginfo_t* info, void* /*context*/) {
  print("inkling: ");
  print(path_at(static_cast<const std::byte*>(info->si_addr)));
  print(": the file became shorter while it was read, expected it to stay as it was\n");
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
