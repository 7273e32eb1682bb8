// Checked reading and atomic writing of files, with every kind of wrong file.
#include "core/binary_file.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "tests/support.h"
#include "tests/temporary_directory.h"

namespace inkling {
namespace {

using namespace inkling::test;
namespace fs = std::filesystem;

std::int64_t files_in(const TemporaryDirectory& dir) {
  return std::distance(fs::directory_iterator(dir.path()), fs::directory_iterator());
}

std::string file_in(const TemporaryDirectory& dir, const std::string& name, const std::string& text) {
  write_text(dir / name, text);
  return dir / name;
}

std::string as_string(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

ByteReader reader(const std::string& bytes) {
  return ByteReader(std::as_bytes(std::span(bytes)), "some.bin");
}

TEST_CASE("files: a view gives the bytes of a file and can be moved") {
  const TemporaryDirectory dir;
  FileView view(file_in(dir, "a", "hello"));
  FileView moved(std::move(view));
  const auto text_of = [](const FileView& file) { return as_string(file.bytes()); };
  CHECK(text_of(moved) == "hello");
  FileView other(file_in(dir, "b", "xy"));
  other = std::move(moved);
  CHECK(text_of(other) == "hello");
  CHECK(other.path() == dir / "a");
}

TEST_CASE("files: a released part of a view uses no memory and can be read again") {
  const TemporaryDirectory dir;
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  std::string text;
  for (std::size_t i = 0; text.size() < 64 * page; ++i) text += str(i, " ");
  const FileView view(file_in(dir, "a", text));
  const auto bytes = [&] { return as_string(view.bytes()); };
  const auto pages_in_use = [&] {
    std::ifstream maps("/proc/self/smaps");
    std::int64_t rss = -1;
    bool here = false;
    for (std::string line; std::getline(maps, line);) {
      if (line.find(dir / "a") != std::string::npos) here = true;
      if (here && line.starts_with("Rss:")) {
        rss = std::stoll(line.substr(4)) * 1024 / static_cast<std::int64_t>(page);
        break;
      }
    }
    return rss;
  };
  CHECK(bytes() == text);
  CHECK(pages_in_use() >= 64);
  view.release(view.bytes().subspan(3 * page + 5, 50 * page));
  CHECK(pages_in_use() < 20);
  view.release(view.bytes().last(1));
  view.release(view.bytes().first(0));
  CHECK(bytes() == text);
}

TEST_CASE("files: missing, directory, empty and pipe are four different errors") {
  const TemporaryDirectory dir;
  CHECK_THROWS_WITH(FileView(dir / "none"), contains("none: cannot open: No such file"));
  CHECK_THROWS_WITH(FileView(dir.path()), contains("is a directory, expected a file"));
  CHECK_THROWS_WITH(FileView(file_in(dir, "empty", "")), contains("empty: is empty"));
  REQUIRE(mkfifo((dir / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_WITH(FileView(dir / "pipe"), contains("expected a regular file"));
}

TEST_CASE("files: a reader gives the bytes of the file and never reads past the end") {
  const std::string bytes =
      "\x01\x02\x03\x04"
      "abcdefg";
  ByteReader in = reader(bytes);
  CHECK(in.read<std::int32_t>("number") == 0x04030201);
  CHECK(in.offset() == 4);
  char text[4];
  in.read_into(text, 4, "text");
  CHECK(std::string(text, 4) == "abcd");
  CHECK(in.remaining_bytes() == 3);
  CHECK_THROWS_WITH(in.read<std::int32_t>("last number"),
                    contains("some.bin: truncated: last number needs 4 bytes, got 3 (at byte 8)"));
  CHECK(in.offset() == 8);
  CHECK_THROWS_WITH(in.expect_end("table"), contains("3 more bytes follow: file size is 11, expected 8"));
  CHECK_THROWS_WITH(in.take(-1, "size"), contains("size needs -1 bytes"));
  in.take(3, "rest");
  CHECK_NOTHROW(in.expect_end("table"));
  CHECK(in.take(0, "nothing").empty());
}

TEST_CASE("files: negative counts and counts whose bytes overflow are errors") {
  const std::string bytes(64, 'x');
  ByteReader in = reader(bytes);
  double values[8];
  CHECK_THROWS_WITH(in.read_into(values, std::int64_t{1} << 61, "weights"), contains("truncated: weights"));
  CHECK_THROWS_WITH(in.read_into(values, -1, "weights"), contains("weights needs -1 values"));
  CHECK_THROWS_WITH(in.read_into(values, 9, "weights"),
                    contains("weights needs 9 values of 8 bytes, got 64 bytes"));
  CHECK_NOTHROW(in.read_into(values, 8, "weights"));
  CHECK_NOTHROW(in.read_into(values, 0, "nothing"));
}

TEST_CASE("files: an atomic file appears whole at commit, and not before") {
  const TemporaryDirectory dir;
  const std::string path = file_in(dir, "model.bin", "old");
  {
    AtomicFile file(path);
    file.write("half of it");
  }
  CHECK(read_text(path) == "old");
  CHECK(files_in(dir) == 1);
  {
    AtomicFile file(path);
    file.write("new ");
    file.write_value(std::int32_t{0x41424344});
    CHECK(read_text(path) == "old");
    file.commit();
    CHECK(read_text(path) == "new DCBA");
  }
  CHECK(read_text(path) == "new DCBA");
  CHECK(files_in(dir) == 1);
  AtomicFile fresh(dir / "fresh");
  CHECK_FALSE(fs::exists(dir / "fresh"));
  fresh.commit();
  CHECK(fs::exists(dir / "fresh"));
}

TEST_CASE("files: a header can be overwritten when its counts are known") {
  const TemporaryDirectory dir;
  AtomicFile file(dir / "shard");
  file.write("....tokens");
  file.write_at(1, "ab", 2);
  file.write(" and more");
  file.commit();
  CHECK(read_text(dir / "shard") == ".ab.tokens and more");
}

TEST_CASE("files: when the target cannot be written, the error names it and existing files stay") {
  const TemporaryDirectory dir;
  CHECK_THROWS_WITH(AtomicFile(dir / "no/such/model.bin"),
                    contains("no/such/model.bin: cannot write: No such file"));
  CHECK_THROWS_AS(AtomicFile("/proc/inkling"), Error);  // not even for root
  AtomicFile file(dir / "taken");
  fs::create_directories(dir / "taken/inside");  // a directory has the name of the new file
  file.write("x");
  CHECK_THROWS_WITH(file.commit(), contains("cannot put the finished file in place"));
  CHECK(fs::is_directory(dir / "taken/inside"));
  CHECK_THROWS_WITH(AtomicFile(dir / "taken"), contains("expected a regular file"));
  CHECK_THROWS_WITH(AtomicFile("/dev/null"), contains("expected a regular file"));
  CHECK(files_in(dir) == 1);
}

TEST_CASE("files: the temporary file of a killed process is removed, and no other file") {
  const TemporaryDirectory dir;
  AtomicFile alive(dir / "alive.bin");
  alive.write("not finished");
  REQUIRE(files_in(dir) == 1);
  const std::string temporary = fs::directory_iterator(dir.path())->path().filename().string();
  REQUIRE(temporary.starts_with("alive.bin"));
  // A killed process leaves its temporary file, but no lock on it. A running process holds the lock.
  const std::string killed = "killed.bin" + temporary.substr(std::strlen("alive.bin"));
  for (const std::string& name : {killed, std::string("notes.tmp-old.txt"), std::string("killed.bin")})
    write_text(dir / name, "x");
  remove_unfinished(dir.path());
  CHECK_FALSE(fs::exists(dir / killed));
  CHECK(files_in(dir) == 3);
  alive.commit();
  CHECK(read_text(dir / "alive.bin") == "not finished");
  remove_unfinished(dir / "nowhere");
}

TEST_CASE("files: a second writer of the same file is an error while the first one exists") {
  const TemporaryDirectory dir;
  {
    AtomicFile first(dir / "model.bin");
    first.write("first");
    CHECK_THROWS_WITH(AtomicFile(dir / "model.bin"), contains("model.bin: cannot write: another process"));
    first.commit();
  }
  AtomicFile second(dir / "model.bin");
  second.write("second");
  CHECK(read_text(dir / "model.bin") == "first");
  second.commit();
  CHECK(read_text(dir / "model.bin") == "second");
  CHECK(files_in(dir) == 1);
}

// Simulates a full disk: this process cannot write a file beyond `bytes`.
struct FileSizeLimit {
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit limit{bytes, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    handler = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
  }
  rlimit before{};
  void (*handler)(int) = nullptr;
};

TEST_CASE("files: a full disk is an error, and the old file stays") {
  const TemporaryDirectory dir;
  const std::string path = file_in(dir, "model.bin", "old");
  const std::string much(100000, 'x');
  {
    const FileSizeLimit limit(65536);
    AtomicFile file(path);
    CHECK_THROWS_WITH(file.write(much), contains("model.bin: cannot write"));
  }
  CHECK(read_text(path) == "old");
  CHECK(files_in(dir) == 1);
}

}  // namespace
}  // namespace inkling
