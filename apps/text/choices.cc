#include "apps/text/choices.h"

#include <algorithm>

#include "apps/run/format.h"
#include "core/error.h"
#include "nn/file_header.h"

namespace inkling {

namespace {

constexpr std::int64_t kBegin = 65535, kMostBytes = 65535;

// Reads the tokens of a context or an ending, after their number.
std::vector<std::int32_t> read_tokens(ByteReader& in, const std::string& what) {
  const auto count = in.read<std::uint16_t>("the number of tokens of " + what);
  if (count == 0) in.fail_here(what + " has 0 tokens, expected at least 1");
  std::vector<std::uint16_t> tokens(count);
  in.read_into(tokens.data(), count, what);
  return {tokens.begin(), tokens.end()};
}

// Reads question `index`. Returns its size in bytes.
std::int64_t read_question(ByteReader& in, std::int64_t index, Question& question) {
  const std::string name = str("question ", index);
  const std::int64_t begin = in.offset();
  const auto read = [&](const char* what) {
    return std::int64_t{in.read<std::uint16_t>(str(what, " of ", name))};
  };
  if (const std::int64_t mark = read("the begin mark"); mark != kBegin)
    in.fail_here(str(name, " begins with the number ", mark, ", expected ", kBegin));
  const std::int64_t bytes = read("the size");
  if (const std::int64_t stored = read("the index"); stored != (index & 65535))
    in.fail_here(str(name, " has the index ", stored, ", expected ", index & 65535));
  const std::int64_t label = read("the label"), endings = read("the number of endings");
  if (label >= endings)
    in.fail_here(str("the label of ", name, " is ", label, ", expected less than ", endings,
                     ", its number of endings"));
  question.label = static_cast<std::size_t>(label);
  question.context = read_tokens(in, "the context of " + name);
  for (std::int64_t i = 0; i < endings; ++i)
    question.endings.push_back(read_tokens(in, str("ending ", i, " of ", name)));
  if (in.offset() - begin != bytes)
    in.fail_here(str(name, " has ", format_number_of(in.offset() - begin, "byte"), ", expected ", bytes,
                     ", the size stored in it"));
  return bytes;
}

}  // namespace

std::vector<Question> read_choices(const std::string& path) {
  return parse_choices(ByteReader(FileView(path)));
}

std::vector<Question> parse_choices(ByteReader in) {
  const Header header = read_header(in, kChoicesMagic, "multiple-choice file");
  if (header[1] != 1) fail_at_entry(in, 1, str("version is ", header[1], ", expected 1"));
  // A question has at least 16 bytes, so the file's size limits their number before memory is allocated.
  constexpr std::int64_t kLeastBytes = 16;
  const std::int64_t count = header[2], most = in.remaining_bytes() / kLeastBytes;
  if (count < 1 || count > most) {
    fail_at_entry(in, 2,
                  str("there are ", count, " questions, expected 1 .. ", most, ", as many as the file's ",
                      in.remaining_bytes(), " bytes can hold"));
  }
  std::vector<Question> questions(static_cast<std::size_t>(count));
  std::int64_t longest = 0;
  for (std::int64_t i = 0; i < count; ++i)
    longest = std::max(longest, read_question(in, i, questions[static_cast<std::size_t>(i)]));
  in.expect_end("the questions");
  if (header[3] != longest)
    fail_at_entry(in, 3, str("the longest question has ", header[3], " bytes, expected ", longest));
  return questions;
}

void check_tokens(std::span<const Question> questions, std::int64_t vocab_size, const std::string& path) {
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const auto check = [&](std::span<const std::int32_t> tokens) {
      for (const std::int32_t id : tokens) {
        if (id < 0 || id >= vocab_size)
          fail(path, ": question ", i, " has the token id ", id, ", expected 0 .. V-1=", vocab_size - 1);
      }
    };
    check(questions[i].context);
    for (const auto& ending : questions[i].endings) check(ending);
  }
}

void write_choices(const std::string& path, std::span<const Question> questions) {
  check_tokens(questions, 65536, path);
  AtomicFile file(path);
  Header header;
  header[0] = kChoicesMagic, header[1] = 1, header[2] = static_cast<std::int32_t>(questions.size());
  file.write(header.ints, Header::kBytes);
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const Question& question = questions[i];
    const auto empty = [](const std::vector<std::int32_t>& tokens) { return tokens.empty(); };
    if (question.label >= question.endings.size() || question.context.empty() ||
        std::any_of(question.endings.begin(), question.endings.end(), empty))
      fail(path, ": question ", i, " has an empty text or no right ending, expected a context and endings");
    std::vector<std::uint16_t> words = {kBegin, 0, static_cast<std::uint16_t>(i & 65535),
                                        static_cast<std::uint16_t>(question.label),
                                        static_cast<std::uint16_t>(question.endings.size())};
    const auto append = [&](std::span<const std::int32_t> tokens) {
      words.push_back(static_cast<std::uint16_t>(tokens.size()));
      for (const std::int32_t id : tokens) words.push_back(static_cast<std::uint16_t>(id));
    };
    append(question.context);
    for (const auto& ending : question.endings) append(ending);
    const auto bytes = static_cast<std::int64_t>(2 * words.size());
    if (bytes > kMostBytes)
      fail(path, ": question ", i, " has ", bytes, " bytes, expected at most ", kMostBytes);
    words[1] = static_cast<std::uint16_t>(bytes);
    header[3] = std::max(header[3], static_cast<std::int32_t>(bytes));
    file.write(words.data(), bytes);
  }
  file.write_at(0, header.ints, Header::kBytes);
  file.commit();
}

}  // namespace inkling
