// make train and make chat. make train gets texts whose paths have spaces, quotes and other characters that are special to make or to a
// shell.
#include <cstdlib>
#include <filesystem>

#include "tests/apps/process.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
namespace fs = std::filesystem;

constexpr const char* kFlags =
    "--steps 2 --layers 1 --heads 2 --channels 16 --seq-len 16 --batch-size 2 --precision f32 --sample-every "
    "0";

std::string quoted(const std::string& word) {
  std::string shell = "'";
  for (const char c : word) shell += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return shell + "'";
}

// Runs a command of the shell. Its output goes to a file in `t`, which is shown if the command fails.
void run_shell(const TemporaryDirectory& t, const std::string& command) {
  const int status = std::system(("{ " + command + "; } >" + quoted(t / "log") + " 2>&1").c_str());
  INFO(command << "\n" << read_text(t / "log"));
  CHECK(status == 0);
}

void make_train(const TemporaryDirectory& t, const std::string& data, const std::string& out) {
  const std::string build = fs::path(binary()).parent_path().string();
  // -o: make does not build the binary again. The variables of a `make test` around this test are removed.
  run_shell(t, "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL HOME=" + quoted(t.path()) + " make -s -o " +
                   quoted(binary()) + " BUILD=" + quoted(build) + " train DATA=" + quoted(data) +
                   " OUT=" + quoted(out) + " FLAGS=" + quoted(kFlags));
}

void write_text_of(const std::string& path) {
  fs::create_directories(fs::path(path).parent_path());
  std::string text;
  for (int line = 0; line < 400; ++line) text += "line " + std::to_string(line * line) + " of the text\n";
  write_text(path, text);
}

TEST_CASE("make train: DATA and OUT may have spaces, quotes, $ and other special characters") {
  const TemporaryDirectory t;
  for (const std::string name :
       {"sp ace/my own.txt", "it's.txt", "a$b$(c).txt", "b[1]*?;&|.txt", "\"q\"\\.txt", "é.v2.txt"}) {
    const std::string text = t / name, out = t / ("runs of/" + name);
    write_text_of(text);
    make_train(t, text, out);
    CHECK(fs::exists(out + "/model.bin"));
    CHECK(fs::exists(out + "/data/" + fs::path(name).stem().string() + "_train.bin"));
  }
}

TEST_CASE(
    "make train: a ~ at the beginning of DATA is the home directory, and a second make train continues") {
  const TemporaryDirectory t;
  write_text_of(t / "x.txt");
  make_train(t, "~/x.txt", t / "run");
  CHECK(fs::exists(t / "run/model.bin"));
  make_train(t, "~/x.txt", t / "run");
  CHECK_THAT(read_text(t / "log"), contains("continuing after step 2"));
}

TEST_CASE("make train: a name may begin with a dash, and the run has the name of the text") {
  const TemporaryDirectory t;
  write_text_of(t / "-dash.txt");
  run_shell(t, "script=$PWD/apps/train.sh inkling=$(realpath " + quoted(binary()) + "); cd " +
                   quoted(t.path()) + " && TEXT=-dash.txt RUN= sh $script $inkling " + kFlags);
  CHECK(fs::exists(t / "runs/-dash/model.bin"));
}

TEST_CASE("make chat: pre-trains on stories, fine-tunes on conversations, grades the model, and continues") {
  const TemporaryDirectory t;
  const std::string build = fs::path(binary()).parent_path().string(), out = t / "my chat";
  const auto make_chat = [&](int steps) {
    run_shell(t, "env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL SIZES='--stories 400 --train 200 --held-out 3' STEPS=" +
                     std::to_string(steps) + " make -s -o " +
                     quoted(binary()) + " BUILD=" + quoted(build) + " chat OUT=" + quoted(out) +
                     " FLAGS='--precision f32 --val-batches 1' < /dev/null");
    return read_text(t / "log");
  };
  const std::string log = make_chat(1);
  CHECK_THAT(log, contains("story_chats_held_out.jsonl: 3 conversations"));
  CHECK_THAT(log, contains("exact match"));
  CHECK(fs::exists(out + "/model.bin"));
  CHECK(read_text(out + "/metrics.jsonl").find("\"step\":2") == std::string::npos);
  make_chat(2);
  CHECK_THAT(read_text(out + "/metrics.jsonl"), contains("\"step\":2"));
  CHECK_THAT(read_text(out + "/pretrained/metrics.jsonl"), contains("\"step\":2"));
}

}  // namespace
}  // namespace inkling
