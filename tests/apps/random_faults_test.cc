// 200 random wrong command lines and 200 damaged files, given to the binary. None may crash it, hang it,
// print a name of the program's types, or lose a file. The random numbers have a fixed seed.
#include <csignal>
#include <map>
#include <random>
#include <set>

#include "core/error.h"
#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
namespace fs = std::filesystem;

constexpr int kCases = 200;
constexpr unsigned kMostSeconds = 10;

class Random {
 public:
  explicit Random(std::uint32_t seed) : numbers_(seed) {}
  std::size_t below(std::size_t n) { return numbers_() % n; }
  template <class T>
  const T& one_of(const std::vector<T>& all) {
    return all[below(all.size())];
  }
  std::string bytes(std::size_t count) {
    std::string text;
    while (text.size() < count) text += static_cast<char>(1 + below(255));
    return text;
  }
  std::mt19937& numbers() { return numbers_; }

 private:
  std::mt19937 numbers_;
};

// The files below a directory, with their contents. The lock of a run has the id of its last process, so it
// is left out.
std::map<std::string, std::string> contents_of(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    if (entry.is_regular_file() && entry.path().filename() != "lock")
      files[entry.path().string()] = read_text(entry.path().string());
  }
  return files;
}

// Error messages end with one line that begins with "inkling: ", and name no C++ types.
void check_outcome(const Outcome& outcome) {
  CHECK(outcome.status != 128 + SIGALRM);  // it took more than kMostSeconds
  CHECK(outcome.status <= 2);
  for (const char* name : {"std::", "basic_string", "__cxx", "__gnu", "nlohmann", "CLI::", "inkling::",
                           "vector<", "terminate called", "what()", "json.exception", "bad_alloc"}) {
    CHECK_THAT(outcome.out + outcome.err, !contains(name));
  }
  if (outcome.status == 0) return;
  const std::size_t end = outcome.err.rfind('\n');
  REQUIRE(end == outcome.err.size() - 1);
  const std::size_t before = end == 0 ? std::string::npos : outcome.err.rfind('\n', end - 1);
  const std::string last = outcome.err.substr(before == std::string::npos ? 0 : before + 1);
  CHECK(last.starts_with("inkling: "));
}

std::string shown(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += "'" + word + "' ";
  return text;
}

// A run of four steps on a text, with its shards and its tokenizer, in a directory `valid`.
void make_valid_files(const std::string& valid) {
  fs::create_directory(valid);
  std::string text;
  for (int i = 0; i < 300; ++i) text += str("line ", i % 7, " of a text\n");
  write_text(valid + "/text", text);
  REQUIRE(run({"tokenize", "--input", valid + "/text", "--out", valid + "/my", "--bytes"}).status == 0);
  REQUIRE(run({"train",
               "--out",
               valid + "/run",
               "--data",
               valid + "/my_train.bin",
               "--layers",
               "1",
               "--heads",
               "2",
               "--channels",
               "16",
               "--seq-len",
               "16",
               "--batch-size",
               "2",
               "--steps",
               "4",
               "--save-every",
               "2",
               "--sample-every",
               "0",
               "--val-batches",
               "1",
               "--precision",
               "f32"})
              .status == 0);
}

// ---- Wrong command lines ----

using Group = std::vector<std::string>;  // a flag with its value

struct Flags {
  std::vector<std::string> numbers;  // the flags of numbers
  std::vector<std::string> all;      // all flags that take a value
};

// Reads the flags of a subcommand from its help, where a line begins with "--name TYPE".
Flags flags_in_help(const std::string& subcommand) {
  Flags flags;
  std::istringstream lines(run({subcommand, "--help"}).out);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name, type;
    words >> name >> type;
    if (!name.starts_with("--")) continue;
    const bool number = type.starts_with("INT") || type.starts_with("UINT") || type.starts_with("FLOAT");
    if (number) flags.numbers.push_back(name);
    if (number || type.starts_with("TEXT")) flags.all.push_back(name);
  }
  return flags;
}

// A group of words that makes any command line wrong.
Group fault(Random& random, const Flags& flags, const std::string& missing) {
  static const std::vector<std::string> kNoNumbers = {
      "",   "many",    "-1",      "99999999999999999999", "1e999", "nan", "-inf", "1,2", "0x", " ",
      "--", "\x1b[2J", "\xff\xfe"};
  const std::string number = flags.numbers.empty() ? "" : random.one_of(flags.numbers);
  switch (random.below(6)) {
    case 0:
      return {"--" + random.bytes(1 + random.below(12)) + "?"};  // no flag has this name
    case 1:
      return {"--x" + std::string(random.below(100'000), 'x')};
    case 2:
      if (!number.empty()) return {number, random.one_of(kNoNumbers)};
      return {missing};
    case 3:
      if (!number.empty()) return {number, "1", number, "1"};
      return {missing};
    case 4:
      if (!flags.all.empty()) return {random.one_of(flags.all) + "x", "1"};  // misspelt
      return {missing};
    default:
      return {"--" + random.bytes(3), missing};
  }
}

TEST_CASE("random faults: 200 wrong command lines are refused, and no file is lost") {
  const TemporaryDirectory t;
  const std::string valid = t / "valid";
  make_valid_files(valid);
  const std::map<std::string, std::vector<Group>> right = {
      {"train", {{"--out", valid + "/run"}, {"--resume"}, {"--data", valid + "/my_train.bin"}}},
      {"generate", {{"--model", valid + "/run/model.bin"}, {"--prompt", "line"}, {"--num-samples", "2"}}},
      {"tokenize", {{"--input", valid + "/text"}, {"--out", valid + "/my"}}},
      {"eval", {{"--model", valid + "/run/model.bin"}, {"--data", valid + "/my_val.bin"}, {"--json"}}},
      {"info", {{"--model", valid + "/run/model.bin"}, {"--batch-size", "2"}}},
      {"inspect", {{valid + "/my_val.bin"}}}};
  std::map<std::string, Flags> flags;
  std::vector<std::string> subcommands;
  for (const auto& [name, groups] : right) {
    subcommands.push_back(name);
    flags[name] = flags_in_help(name);
    CHECK_FALSE(flags[name].all.empty());
  }
  const auto before = contents_of(valid);
  Random random(1);
  for (int i = 0; i < kCases; ++i) {
    const std::string subcommand = random.one_of(subcommands);
    std::vector<Group> groups = right.at(subcommand);
    for (std::size_t faults = 1 + random.below(3); faults > 0; --faults)
      groups.push_back(fault(random, flags[subcommand], t / "missing"));
    std::shuffle(groups.begin(), groups.end(), random.numbers());
    std::vector<std::string> words = {random.below(20) == 0 ? subcommand + "s" : subcommand};
    for (const Group& group : groups) words.insert(words.end(), group.begin(), group.end());
    const Outcome outcome = run(words, kMostSeconds);
    INFO("case " << i << ": " << shown(words).substr(0, 2000) << "\n" << outcome.err.substr(0, 2000));
    CHECK(outcome.status != 0);
    if (subcommand != "inspect") CHECK(outcome.out.empty());  // inspect prints what it read before the fault
    CHECK(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 1);
    check_outcome(outcome);
    REQUIRE(contents_of(valid) == before);
  }
}

// ---- Damaged files ----

// Damages the bytes of a file. The result is another sequence of bytes.
std::string damaged(Random& random, const std::string& good) {
  std::string bytes = good;
  const std::size_t at = random.below(bytes.size());
  const auto overwrite = [&](std::size_t place, std::int32_t value) {
    if (bytes.size() >= 4) std::memcpy(bytes.data() + std::min(place, bytes.size() - 4), &value, 4);
  };
  switch (random.below(8)) {
    case 0:
      return bytes.substr(0, at);
    case 1:
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
      return bytes;
    case 2:  // a wrong number in the header
      overwrite(4 * random.below(8),
                random.one_of(std::vector<std::int32_t>{-1, 0, 1, 1 << 20, 1 << 30, INT32_MAX, INT32_MIN}));
      return bytes;
    case 3:
      return bytes + random.bytes(1 + random.below(100));
    case 4:
      return bytes.erase(at, 1 + random.below(20));
    case 5:
      return bytes.insert(at, random.bytes(1 + random.below(20)));
    case 6:
      for (int i = 0; i < 20; ++i) bytes[random.below(bytes.size())] = static_cast<char>(random.below(256));
      return bytes;
    default:
      return bytes.replace(at, 8, std::string(8, '\0'));
  }
}

// The files of `valid` that a case damages, and commands that read the file. {} stands for the directory.
struct Reader {
  std::string file;
  std::vector<std::string> command;
};
const std::vector<Reader>& readers() {
  static const std::vector<Reader> all = [] {
    const std::string model = "{}/run/model.bin", newest = "/run/checkpoints/step_00000004/";
    const std::vector<std::string> resume = {"train", "--out", "{}/run", "--resume", "--steps", "5"};
    std::vector<Reader> list = {
        {"/run/model.bin", {"generate", "--model", model, "--max-tokens", "3"}},
        {"/run/model.bin", {"eval", "--model", model, "--data", "{}/my_val.bin", "--batches", "1", "--json"}},
        {"/run/model.bin", {"inspect", model}},
        {"/run/model.bin",
         {"train", "--out", "{}/new", "--init", model, "--data", "{}/my_train.bin", "--seq-len", "16",
          "--steps", "1", "--precision", "f32"}},
        {"/my_val.bin", {"eval", "--model", model, "--data", "{}/my_val.bin", "--batches", "1"}},
        {"/my_val.bin", {"inspect", "{}/my_val.bin"}},
        {"/my_train.bin", resume},
        {"/run/tokenizer.bin", {"generate", "--model", model, "--prompt", "line", "--max-tokens", "3"}},
        {"/run/tokenizer.bin",
         {"tokenize", "--input", "{}/text", "--out", "{}/other", "--tokenizer", "{}/run/tokenizer.bin"}},
        {"/run/tokenizer.bin", {"inspect", "{}/run/tokenizer.bin"}},
        {"/my_tokenizer.bin", resume},
        {newest + "optimizer.bin", {"inspect", "{}" + newest + "optimizer.bin"}}};
    for (const char* file :
         {"config.json", "metrics.jsonl", "checkpoints/step_00000004/model.bin",
          "checkpoints/step_00000004/optimizer.bin", "checkpoints/step_00000004/state.json",
          "checkpoints/step_00000004/manifest.json"})
      list.push_back({"/run/" + std::string(file), resume});
    return list;
  }();
  return all;
}

TEST_CASE("random faults: 200 damaged files crash no command, and no file is lost") {
  const TemporaryDirectory t;
  // The run stores absolute paths of its data, so every case works in the same directory.
  const std::string work = t / "work";
  make_valid_files(work);
  fs::copy(work, t / "saved", fs::copy_options::recursive);
  Random random(2);
  int refused = 0;
  for (int i = 0; i < kCases; ++i) {
    fs::remove_all(work);
    fs::copy(t / "saved", work, fs::copy_options::recursive);
    const Reader& reader = readers()[static_cast<std::size_t>(i) % readers().size()];
    const std::string path = work + reader.file;
    write_text(path, damaged(random, read_text(path)));
    const auto before = contents_of(work);
    std::vector<std::string> words = reader.command;
    for (std::string& word : words) {
      if (word.starts_with("{}")) word.replace(0, 2, work);
    }
    const Outcome outcome = run(words, kMostSeconds);
    INFO("case " << i << ": " << reader.file << " damaged, then " << shown(words) << "\n" << outcome.err);
    check_outcome(outcome);
    refused += outcome.status != 0;
    const auto after = contents_of(work);
    for (const auto& [name, bytes] : before) {
      INFO(name);
      // A run that goes on adds to its metrics, replaces its result, and deletes its oldest checkpoint.
      const bool of_the_run = name.starts_with(work + "/run/");
      if (outcome.status == 0 && of_the_run && words[0] == "train" && words[2] == work + "/run") continue;
      REQUIRE(after.contains(name));
      CHECK(after.at(name) == bytes);
    }
    CHECK(after.contains(work + "/run/model.bin"));
  }
  CHECK(refused > kCases / 3);
}

}  // namespace
}  // namespace inkling
