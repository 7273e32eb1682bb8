// The metrics of a run as an event file, which TensorBoard reads.
//
// An event file is a sequence of records. A record, in little-endian bytes (TensorFlow, record_writer.cc):
//
//   u64 length of the payload
//   u32 masked CRC-32C of these 8 bytes
//   payload
//   u32 masked CRC-32C of the payload
//
// The payload is a protocol buffer (protobuf.dev, "Encoding") of this type. The number of a field is written
// before its value, as field * 8 + wire type; integers and lengths are varints of 7 bits a byte.
//
//   Event   { 1: double wall_time   2: int64 step   3: string file_version   5: Summary summary }
//   Summary { 1: repeated Value value }
//   Value   { 1: string tag   2: float simple_value }
//
// This file does not write to disk; apps/report.cc does.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "apps/report/run_record.h"

namespace inkling::report {

constexpr const char* kEventFile = "events.out.tfevents.inkling";

// CRC-32C (Castagnoli): the remainder of the division by the polynomial 0x1edc6f41, with reflected bits.
std::uint32_t crc32c(std::string_view bytes);

std::string event_record(std::string_view payload);
// The payloads of events. The first event of a file has the file's version, every other event has a number.
std::string version_event(double wall_time);
std::string scalar_event(double wall_time, std::int64_t step, std::string_view tag, double value);

// The event file of a run: loss/train, loss/validation, loss/minimum_over_rows,
// loss/minimum_over_whole_stories, perplexity/validation, learning_rate, gradient_norm and tokens_per_s over
// the steps, and weight_norm/PART and gradient_norm/PART for each layer. The wall time of a step is the time
// when metrics.jsonl was written last, less the time of the steps after it.
std::string event_file(const RunRecord& run);

// The folder of each run in the folder that TensorBoard shows: the run's name. Runs with the same name get
// their place in the list before it, for example 2-stories.
std::vector<std::string> event_folders(const std::vector<RunRecord>& runs);

}  // namespace inkling::report
