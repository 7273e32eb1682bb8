#include "apps/report/event_file.h"

#include <cstring>
#include <set>

#include "apps/report/report.h"
#include "apps/run/perplexity.h"
#include "core/error.h"
#include "nn/layer_norms.h"

namespace inkling::report {

namespace {

// Returns the bytes of a number in the order of memory, which is little-endian.
template <class T>
std::string bytes_of(T value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

// The masked checksum. A CRC of data that contains its own CRC is a weak check, so the format rotates each
// CRC and adds a constant.
std::uint32_t masked(std::uint32_t crc) {
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

// ---- Protocol buffers ----

std::string varint(std::uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>(value | 128);
  return bytes + static_cast<char>(value);
}

enum class Wire { varint = 0, eight_bytes = 1, bytes = 2, four_bytes = 5 };

std::string field(std::uint64_t number, Wire wire, std::string_view value) {
  std::string text = varint(number * 8 + static_cast<std::uint64_t>(wire));
  if (wire == Wire::bytes) text += varint(value.size());
  return text.append(value);
}

std::string event(double wall_time, std::int64_t step, std::string_view rest) {
  std::string text = field(1, Wire::eight_bytes, bytes_of(wall_time));
  if (step != 0) text += field(2, Wire::varint, varint(static_cast<std::uint64_t>(step)));
  return text.append(rest);
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  constexpr std::uint32_t kReflected = 0x82f63b78;  // 0x1edc6f41 with its bits in reverse order
  std::uint32_t crc = ~0u;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kReflected : 0);
  }
  return ~crc;
}

std::string event_record(std::string_view payload) {
  const std::string length = bytes_of(std::uint64_t{payload.size()});
  std::string record = length + bytes_of(masked(crc32c(length)));
  return record.append(payload) + bytes_of(masked(crc32c(payload)));
}

std::string version_event(double wall_time) {
  return event(wall_time, 0, field(3, Wire::bytes, "brain.Event:2"));
}

std::string scalar_event(double wall_time, std::int64_t step, std::string_view tag, double value) {
  const std::string number = bytes_of(static_cast<float>(value));
  const std::string one = field(1, Wire::bytes, tag) + field(2, Wire::four_bytes, number);
  return event(wall_time, step, field(5, Wire::bytes, field(1, Wire::bytes, one)));
}

std::string event_file(const RunRecord& run) {
  const double start = run.written - run.seconds(run.last_step());
  std::string file = event_record(version_event(start));
  const auto add = [&](std::int64_t step, std::string_view tag, double value) {
    if (std::isfinite(value)) file += event_record(scalar_event(start + run.seconds(step), step, tag, value));
  };
  const std::vector<std::string> parts = part_names(run.settings.model.layers);
  for (const StepMetrics& s : run.steps) {
    add(s.step, "loss/train", s.loss);
    add(s.step, "learning_rate", s.lr);
    add(s.step, "gradient_norm", s.grad_norm);
    add(s.step, "tokens_per_s", s.tokens_per_s);
  }
  for (const ValidationMetrics& v : run.validations) {
    add(v.step, "loss/validation", v.loss);
    add(v.step, "perplexity/validation", perplexity(v.loss));
    add(v.step, "loss/minimum_over_rows", v.min_over_rows.value_or(kNone));
    add(v.step, "loss/minimum_over_whole_stories", v.min_over_stories.value_or(kNone));
    for (std::size_t part = 0; part < v.weight_norms.size(); ++part)
      add(v.step, "weight_norm/" + parts[part], v.weight_norms[part]);
    for (std::size_t part = 0; part < v.grad_norms.size(); ++part)
      add(v.step, "gradient_norm/" + parts[part], v.grad_norms[part]);
  }
  return file;
}

std::vector<std::string> event_folders(const std::vector<RunRecord>& runs) {
  std::multiset<std::string> names;
  for (const RunRecord& run : runs) names.insert(run.name);
  std::vector<std::string> folders;
  for (std::size_t r = 0; r < runs.size(); ++r)
    folders.push_back(names.count(runs[r].name) == 1 ? runs[r].name : str(r + 1, "-", runs[r].name));
  return folders;
}

}  // namespace inkling::report
