// Event files of TensorBoard: their bytes are TensorBoard's own, and they have every number of a run.
#include "apps/report/event_file.h"

#include <map>
#include <set>

#include "core/binary_file.h"
#include "tests/apps/command_line.h"
#include "tests/apps/report/small_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using namespace inkling::report;

std::string hex(const std::string& bytes) {
  std::string text;
  for (const char c : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
    text += digits;
  }
  return text;
}

struct Scalar {
  double wall_time;
  std::int64_t step;
  float value;
};

// Reads the fields of a protocol buffer, the numbers of fixed size and the texts as bytes.
class Message {
 public:
  explicit Message(std::string text) {
    while (!text.empty()) {
      const std::uint64_t key = varint(text), wire = key % 8;
      std::size_t size = wire == 1 ? 8 : wire == 5 ? 4 : 0;
      if (wire == 0) {
        integers_[key / 8] = static_cast<std::int64_t>(varint(text));
        continue;
      }
      if (wire == 2) size = varint(text);
      REQUIRE(size <= text.size());
      texts_[key / 8] = text.substr(0, size);
      text.erase(0, size);
    }
  }
  bool has(std::uint64_t field) const { return texts_.count(field) > 0; }
  std::int64_t integer(std::uint64_t field) const {
    return integers_.count(field) > 0 ? integers_.at(field) : 0;
  }
  const std::string& text(std::uint64_t field) const { return texts_.at(field); }
  template <class T>
  T number(std::uint64_t field) const {
    T value;
    REQUIRE(text(field).size() == sizeof value);
    std::memcpy(&value, text(field).data(), sizeof value);
    return value;
  }

 private:
  static std::uint64_t varint(std::string& text) {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      REQUIRE(!text.empty());
      const auto byte = static_cast<unsigned char>(text[0]);
      text.erase(0, 1);
      value |= std::uint64_t{byte & 127u} << shift;
      if (byte < 128) return value;
    }
  }
  std::map<std::uint64_t, std::int64_t> integers_;
  std::map<std::uint64_t, std::string> texts_;
};

// The payloads of an event file's records. Checks that no byte is left over.
std::vector<std::string> payloads(const std::string& file) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < file.size();) {
    std::uint64_t length = 0;
    REQUIRE(at + 12 <= file.size());
    std::memcpy(&length, file.data() + at, sizeof length);
    REQUIRE(at + 12 + length + 4 <= file.size());
    all.push_back(file.substr(at + 12, length));
    CHECK(event_record(all.back()) == file.substr(at, 12 + length + 4));
    at += 12 + length + 4;
  }
  return all;
}

TEST_CASE("event file: CRC-32C has its published check values") {
  CHECK(crc32c("") == 0);
  CHECK(crc32c("123456789") == 0xe3069283);              // the usual check value
  CHECK(crc32c(std::string(32, '\0')) == 0x8a9136aa);    // RFC 3720, B.4
  CHECK(crc32c(std::string(32, '\xff')) == 0x62a8ab43);  // RFC 3720, B.4
}

TEST_CASE("event file: records have the bytes that TensorBoard's own writer writes") {
  // Made by tensorboard 2.20: RecordWriter.write(Event(...).SerializeToString()).
  CHECK(hex(event_record(version_event(1700000000.5))) ==
        "1800000000000000a37f4b220900002040fc54d9411a0d627261696e2e4576656e743a322b353110");
  CHECK(hex(event_record(scalar_event(1700000001.25, 300, "loss/train", 2.5))) ==
        "2100000000000000017becf60900005040fc54d94110ac022a130a110a0a6c6f73732f747261696e15000020408f29bb1b");
}

TEST_CASE("event file: it has every number of the run, at its step and its time") {
  const TemporaryDirectory t;
  write_small_run(t / "run", {}, true);
  const RunRecord run = read_run(t / "run");
  const std::vector<std::string> events = payloads(event_file(run));
  REQUIRE(events.size() == 1 + 4 * 30 + 4 * 2 + 2 * 3);
  CHECK(Message(events[0]).text(3) == "brain.Event:2");
  std::map<std::string, std::vector<Scalar>> found;
  for (std::size_t i = 1; i < events.size(); ++i) {
    const Message event(events[i]);
    const Message value(Message(event.text(5)).text(1));
    found[value.text(1)].push_back({event.number<double>(1), event.integer(2), value.number<float>(2)});
  }
  CHECK(found.size() == 8 + 6);
  CHECK(found["weight_norm/layer_1"][0].value == 4.0f);
  CHECK(found["gradient_norm/last_layernorm"][0].value == 0.125f);
  CHECK(found["gradient_norm/embeddings"][0].step == 30);
  for (const char* tag : {"loss/train", "learning_rate", "gradient_norm", "tokens_per_s"}) {
    INFO(tag);
    REQUIRE(found[tag].size() == 30);
    for (std::int64_t step = 1; step <= 30; ++step)
      CHECK(found[tag][static_cast<std::size_t>(step - 1)].step == step);
  }
  CHECK(found["loss/train"][9].value == 4.0f);
  CHECK(found["learning_rate"][9].value == 0.01f);
  CHECK(found["gradient_norm"][9].value == 1.25f);
  CHECK(found["tokens_per_s"][9].value == 64.0f);
  CHECK(found["loss/validation"][0].step == 0);
  CHECK(found["loss/validation"][1].step == 30);
  CHECK(found["loss/validation"][1].value == 2.5f);
  CHECK(found["perplexity/validation"][1].value == approx(12.182494));
  CHECK(found["loss/minimum_over_rows"][1].value == 1.5f);
  CHECK(found["loss/minimum_over_whole_stories"][1].value == 1.4f);
  // A step takes 500 ms, and the last line of the metrics was written at the end.
  CHECK(found["loss/train"][29].wall_time == approx(run.written));
  CHECK(found["loss/train"][29].wall_time - found["loss/train"][9].wall_time == approx(10.0).epsilon(1e-6));
}

TEST_CASE("event file: a number that is not finite, and a run without steps, leave out events only") {
  const TemporaryDirectory t;
  write_small_run(t / "run");
  RunRecord run = read_run(t / "run");
  run.steps[3].loss = kNone;
  CHECK(payloads(event_file(run)).size() == 4 * 30 + 4 * 2);
  run.steps.clear();
  run.validations.clear();
  CHECK(payloads(event_file(run)).size() == 1);
}

TEST_CASE("event file: report --tensorboard writes a folder for each run, and runs of one name get two") {
  const TemporaryDirectory t;
  for (const char* path : {"a", "x/b", "y/b"}) write_small_run(t / path);
  const Answer answer = run_here(
      {"report", t / "a", t / "x/b", t / "y/b", "--out", t / "all.html", "--tensorboard", t / "logs/new"});
  for (const char* folder : {"a", "2-b", "3-b"}) {
    const std::string path = t / "logs/new/" + folder + "/" + kEventFile;
    CHECK_THAT(answer.out, contains(path + "\n"));
    CHECK(payloads(read_text(path)).size() == 1 + 4 * 30 + 4 * 2);
  }
  write_text(t / "file", "x");
  CHECK_THROWS_WITH(run_here({"report", t / "a", "--tensorboard", t / "file"}),
                    contains("file/a: cannot create the directory"));
}

}  // namespace
}  // namespace inkling
