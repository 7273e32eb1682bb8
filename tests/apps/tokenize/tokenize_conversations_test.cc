// tokenize_files() turns JSON lines into shards: documents like texts, conversations packed with a loss mask.
#include <algorithm>

#include "apps/chat/packing.h"
#include "apps/text/data_shard.h"
#include "apps/text/shard.h"
#include "apps/tokenize/tokenize.h"
#include "core/error.h"
#include "tests/apps/read_shard.h"
#include "tests/catch.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using test::contains;
using test::read_shard;
using test::TemporaryDirectory;
using Ids = std::vector<std::int32_t>;

std::string chat_line(const std::string& question, const std::string& answer) {
  return R"({"messages": [{"role": "user", "content": ")" + question +
         R"("}, {"role": "assistant", "content": ")" + answer + "\"}]}\n";
}

struct Files {
  TemporaryDirectory directory;
  TokenizeSettings settings;
  std::vector<std::string> reports;

  explicit Files(const std::string& lines, const std::string& name = "chats.jsonl") {
    settings.inputs = {directory / name};
    settings.out = directory / "out";
    settings.bytes = true;
    settings.seq_len = 64;
    settings.report_bad_line = [this](const std::string& message) { reports.push_back(message); };
    test::write_text(settings.inputs[0], lines);
  }
};

// The counted targets of a shard as text, with "|" for end-of-text.
std::string counted_text(const std::string& path) {
  const DataShard shard(path, LossMask::use);
  const Ids ids = read_shard(path);
  std::string text;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (shard.counts(static_cast<std::int64_t>(i))) text += ids[i] == 256 ? '|' : static_cast<char>(ids[i]);
  }
  return text;
}

TEST_CASE("tokenize: conversations become packed rows in which exactly the answers count") {
  Files files(chat_line("Who?", "Ann.") + chat_line("Where?", "Here.") + chat_line("When?", "Now."));
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(counted_text(result.train_paths.at(0)) == "Ann.|Here.|");  // a tenth, rounded up, is the last one
  CHECK(counted_text(result.val_paths.at(0)) == "Now.|");
  CHECK(result.entries.conversations == 3);
  CHECK(result.entries.dropped == 0);
  CHECK(result.entries.shortened == 0);
  CHECK(result.counted_tokens == 16);
  CHECK_FALSE(result.split_by_document);
  CHECK(result.train_tokens % 64 == 1);
  CHECK(DataShard(result.train_paths.at(0), LossMask::use).row_tokens() == 64);
}

TEST_CASE("tokenize: conversations that are too long lose turns or are left out, and both are counted") {
  const std::string turn = R"({"role": "user", "content": "Twenty letters here?"},)"
                           R"({"role": "assistant", "content": "Yes"})";
  Files files(chat_line("Who?", "Ann.") + R"({"messages": [)" + turn + "," + turn + "," + turn + "]}\n" +
              chat_line(std::string(90, 'x'), "No."));
  files.settings.val_fraction = 0;
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(result.val_paths.empty());
  CHECK(result.entries.shortened == 1);
  CHECK(result.entries.dropped_turns == 4);
  CHECK(result.entries.dropped == 1);
  std::string counted = counted_text(result.train_paths.at(0));
  CHECK(counted.size() == 9);
  CHECK_THAT(counted, contains("Ann.|"));
  CHECK_THAT(counted, contains("Yes|"));
}

TEST_CASE("tokenize: of 100 conversations or more, a hash of the text chooses those for validation") {
  std::string lines, more;
  for (int i = 0; i < 100; ++i) lines += chat_line("Q" + std::to_string(i) + "?", "A" + std::to_string(i));
  for (int i = 100; i < 150; ++i) more += chat_line("Q" + std::to_string(i) + "?", "A" + std::to_string(i));
  Files files(lines), more_files(more + lines);
  files.settings.val_fraction = more_files.settings.val_fraction = 0.2;
  const TokenizeResult result = tokenize_files(files.settings), again = tokenize_files(more_files.settings);
  CHECK(result.split_by_document);
  const std::string val = counted_text(result.val_paths.at(0)),
                    more_val = counted_text(again.val_paths.at(0));
  const auto answers = std::count(val.begin(), val.end(), '|');
  CHECK((10 <= answers && answers <= 32));
  const auto has = [](const std::string& text, int i) {
    return ("|" + text).find("|A" + std::to_string(i) + "|") != std::string::npos;
  };
  bool all_of_the_last = true;
  for (int i = 0; i < 100; ++i) {
    CHECK(has(val, i) == has(more_val, i));
    all_of_the_last = all_of_the_last && (i < 80 || has(val, i));
  }
  CHECK_FALSE(all_of_the_last);
}

TEST_CASE("tokenize: a tokenizer is trained on the turns and on the template") {
  std::string lines;
  for (int i = 0; i < 40; ++i) lines += chat_line("Where is the elephant?", "The elephant is here.");
  Files files(lines);
  files.settings.bytes = false;
  files.settings.vocab_size = 300;
  const TokenizeResult result = tokenize_files(files.settings);
  const Tokenizer tokenizer = Tokenizer::read(result.tokenizer_path);
  CHECK(tokenizer.encode(" elephant").size() == 1);
  CHECK(tokenizer.encode("Assistant").size() == 1);
}

TEST_CASE("tokenize: bad lines are skipped and named once, or the first one is an error") {
  Files files(chat_line("Who?", "Ann.") + "{\n" + chat_line("Where?", "Here.") + R"({"messages": []})" +
              "\n");
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(result.bad_lines == 2);
  REQUIRE(files.reports.size() == 2);
  CHECK_THAT(files.reports[0], contains("chats.jsonl: line 2: not valid JSON"));
  CHECK_THAT(files.reports[1], contains("chats.jsonl: line 4: has no assistant turn"));
  files.settings.strict = true;
  CHECK_THROWS_WITH(tokenize_files(files.settings), contains("line 2: not valid JSON"));
}

TEST_CASE("tokenize: documents in JSON lines become the same shards as documents in a text") {
  Files text("one\n<|endoftext|>\ntwo two\n<|endoftext|>\nthree three three", "a.txt");
  Files lines("{\"text\": \"one\\n\"}\n{\"text\": \"two two\\n\"}\n{\"text\": \"three three three\"}\n");
  text.settings.min_val_tokens = lines.settings.min_val_tokens = 4;
  const TokenizeResult a = tokenize_files(text.settings), b = tokenize_files(lines.settings);
  CHECK(b.documents == 3);
  CHECK(b.conversations == 0);
  CHECK((read_shard(a.train_paths.at(0)) == read_shard(b.train_paths.at(0))));
  CHECK((read_shard(a.val_paths.at(0)) == read_shard(b.val_paths.at(0))));
}

TEST_CASE("tokenize: documents among conversations are in the same rows, and all their tokens count") {
  Files files("{\"text\": \"A story.\"}\n" + chat_line("Who?", "Ann.") + "{\"text\": \"An end.\"}\n");
  test::write_text(files.directory / "a.txt", "Text.\n<|endoftext|>\nMore");
  files.settings.inputs.push_back(files.directory / "a.txt");
  files.settings.val_fraction = 0;
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(result.conversations == 1);
  CHECK(result.documents == 4);
  CHECK(result.entries.documents == 4);
  CHECK(result.entries.cut == 0);
  std::vector<std::string> parts = {"A story.|", "Ann.|", "An end.|", "Text.\n|", "More|"};
  std::string counted = counted_text(result.train_paths.at(0));
  for (const std::string& part : parts) {
    INFO(part);
    CHECK_THAT(counted, contains(part));
  }
  CHECK(counted.size() == 9 + 5 + 8 + 7 + 5);
  CHECK(result.counted_tokens == std::ssize(counted));
  const DataShard shard(result.train_paths.at(0), LossMask::use);
  CHECK(shard.row_tokens() == 64);
}

TEST_CASE("tokenize: a document that is longer than a row is cut; end-of-text around a cut does not count") {
  Files files(chat_line("Who?", "Ann.") + "{\"text\": \"abcdefghij\"}\n");
  files.settings.val_fraction = 0;
  files.settings.seq_len = 30;  // the conversation has 29 tokens
  const TokenizeResult whole = tokenize_files(files.settings);
  CHECK(whole.entries.cut == 0);
  CHECK_THAT(counted_text(whole.train_paths.at(0)), contains("abcdefghij|"));
  std::string text;
  for (int i = 0; i < 100; ++i) text += static_cast<char>('0' + i % 75);
  test::write_text(files.directory / "a.txt", text);
  files.settings.inputs.push_back(files.directory / "a.txt");
  const TokenizeResult cut = tokenize_files(files.settings);
  CHECK(cut.entries.cut == 1);
  CHECK(cut.entries.documents == 2);
  std::string counted = counted_text(cut.train_paths.at(0));
  CHECK_THAT(counted, contains(text.substr(0, 29)));
  CHECK(counted.size() == 5 + 11 + 100 + 1 - 3);  // three cuts: three first tokens do not count
  const Ids ids = read_shard(cut.train_paths.at(0));
  const Tokenizer bytes = Tokenizer::bytes();
  std::string joined;  // every byte is in the shard
  for (const std::int32_t id : ids) joined += bytes.token(id);
  for (std::size_t at = 0; at < text.size(); at += 29) CHECK_THAT(joined, contains(text.substr(at, 29)));
}

TEST_CASE("tokenize: of few conversations among documents, the last conversations are for validation") {
  Files files(chat_line("Who?", "Ann.") + chat_line("Where?", "Here.") + "{\"text\": \"A story.\"}\n");
  const TokenizeResult result = tokenize_files(files.settings);
  CHECK(counted_text(result.val_paths.at(0)) == "Here.|");
  CHECK_THAT(counted_text(result.train_paths.at(0)), contains("A story.|") && contains("Ann.|"));
  std::string lines = chat_line("Who?", "Ann.");
  for (int i = 0; i < 120; ++i) lines += "{\"text\": \"D" + std::to_string(i) + ".\"}\n";
  Files many(lines);
  many.settings.val_fraction = 0.3;
  const TokenizeResult chosen = tokenize_files(many.settings);
  CHECK(chosen.split_by_document);
  const std::string val = counted_text(chosen.val_paths.at(0));
  const auto documents = std::count(val.begin(), val.end(), 'D');
  CHECK((15 <= documents && documents <= 60));
}

TEST_CASE("tokenize: the flag jsonl reads a file of any name as JSON lines") {
  Files files("{\"text\": \"A long enough story.\"}", "stories.txt");
  files.settings.val_fraction = 0;
  CHECK(tokenize_files(files.settings).text_bytes == 32);
  files.settings.jsonl = true;
  CHECK(tokenize_files(files.settings).text_bytes == 20);
}

TEST_CASE("tokenize: if no conversation fits, the error says how many there are and what to do") {
  Files files(chat_line(std::string(90, 'x'), "No."));
  CHECK_THROWS_WITH(
      tokenize_files(files.settings),
      contains("no conversation is left for training: of 1 read, 1 has no exchange that fits into "
               "65 tokens, expected at least one; try a larger --seq-len or --val-fraction 0"));
  files.settings.seq_len = 128;
  CHECK_THROWS_WITH(tokenize_files(files.settings), contains("no conversation is left for training"));
  files.settings.val_fraction = 0;
  CHECK(counted_text(tokenize_files(files.settings).train_paths.at(0)) == "No.|");
  files.settings.shard_tokens = 4096;
  CHECK_THROWS_WITH(tokenize_files(files.settings),
                    contains("--shard-tokens is 4096, but conversations are packed into one shard"));
}

}  // namespace
}  // namespace inkling
