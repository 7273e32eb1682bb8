// A run in which a system call fails: with an error, with less written than asked for, or interrupted by a
// signal.
//
// Every call of the run fails once in every test here. Only the kind of error is spread: a call fails with
// EIO or with ENOSPC, in turn, because the program treats all errors alike and both would take twice the
// time.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include "core/error.h"
#include "tests/faults/short_run.h"
#include "tests/support.h"

namespace inkling {
namespace {

using namespace inkling::test;
using Kind = SystemCall::Kind;

// What a run did after a fault.
struct Aftermath {
  SystemCall call;      // the one that failed
  bool ended = false;   // by an exception
  std::string message;  // of the exception
};

// Runs with every fault(i) that hits a call for which `applies` is true, and hands each aftermath, with the
// directory as the run left it, to `check`.
void for_each_fault(const ShortRun& run, const std::function<Fault(std::int64_t call)>& fault,
                    const std::function<bool(const SystemCall&)>& applies,
                    const std::function<void(const Aftermath&, const TemporaryDirectory&)>& check) {
  int hits = 0;
  for (std::int64_t i = 0; i < std::ssize(run.log()); ++i) {
    if (!applies(run.log()[static_cast<std::size_t>(i)])) continue;
    const FastDirectory directory;
    Aftermath aftermath;
    {
      const SystemCalls calls(directory.path(), fault(i));
      try {
        run.train(directory / "run");
      } catch (const Error& error) {
        aftermath.ended = true;
        aftermath.message = error.what();
      } catch (const std::exception& error) {
        FAIL_CHECK("not an inkling::Error: " << error.what());
        aftermath.ended = true;
      }
      REQUIRE(calls.faulty_call() != nullptr);
      aftermath.call = *calls.faulty_call();
    }
    INFO("failed: call " << i << ", " << aftermath.call.description());
    INFO("message: " << aftermath.message);
    check(aftermath, directory);
    ++hits;
  }
  CHECK(hits > 0);
}

// One line that begins with a path and gives the reason.
void check_message(const Aftermath& aftermath, const TemporaryDirectory& directory,
                   const std::string& reason) {
  CHECK(aftermath.message.starts_with(directory.path()));
  CHECK_THAT(aftermath.message, contains(reason));
  CHECK(aftermath.message.find('\n') == std::string::npos);
}

// Whether the program must notice the failure of a call. It may ignore an error when it closes a file that it
// has read, or its lock.
bool must_be_noticed(const SystemCall& call) {
  switch (call.kind) {
    case Kind::open:
      return call.for_writing();
    case Kind::close:
      return call.for_writing() && call.path != "run/lock";
    default:
      return true;
  }
}

TEST_CASE("errors: a system call that fails ends the run with one line, and the run can be resumed") {
  const ShortRun run;
  const auto error_of = [](std::int64_t call) { return call % 2 == 0 ? EIO : ENOSPC; };
  for_each_fault(
      run, [&](std::int64_t call) { return Fault{.call = call, .error = error_of(call)}; },
      [](const SystemCall& call) { return call.error == 0; },
      [&](const Aftermath& aftermath, const TemporaryDirectory& directory) {
        if (must_be_noticed(aftermath.call)) CHECK(aftermath.ended);
        if (aftermath.ended) {
          check_message(aftermath, directory, std::strerror(aftermath.call.error));
          const Image left = read_image(directory.path());
          run.check_nothing_temporary(left);
          run.check_resumes(left);
        } else {
          run.check_complete(directory.path());
        }
      });
}

TEST_CASE("errors: when the disk is full the run ends with one line, and can be resumed with more space") {
  const ShortRun run;
  for_each_fault(
      run, [](std::int64_t call) { return Fault{.call = call, .error = ENOSPC, .lasting = true}; },
      [](const SystemCall& call) { return call.kind == Kind::write; },
      [&](const Aftermath& aftermath, const TemporaryDirectory& directory) {
        CHECK(aftermath.ended);
        check_message(aftermath, directory, std::strerror(ENOSPC));
        const Image left = read_image(directory.path());
        run.check_nothing_temporary(left);
        run.check_resumes(left);
      });
}

TEST_CASE("errors: a write that writes less than asked for is gone on with") {
  const ShortRun run;
  for_each_fault(
      run, [](std::int64_t call) { return Fault{.call = call}; },
      [](const SystemCall& call) { return call.kind == Kind::write && call.bytes.size() > 1; },
      [&](const Aftermath& aftermath, const TemporaryDirectory& directory) {
        CHECK_FALSE(aftermath.ended);
        run.check_complete(directory.path());
      });
}

TEST_CASE("errors: a system call that a signal interrupts is made again") {
  const ShortRun run;
  // Linux never interrupts the others, and openat is the C++ library's.
  const std::vector<std::string> interruptible = {"open", "write", "pwrite", "ftruncate", "fsync", "close"};
  for_each_fault(
      run, [](std::int64_t call) { return Fault{.call = call, .error = EINTR}; },
      [&](const SystemCall& call) {
        return std::find(interruptible.begin(), interruptible.end(), call.function) != interruptible.end();
      },
      [&](const Aftermath& aftermath, const TemporaryDirectory& directory) {
        CHECK_FALSE(aftermath.ended);
        run.check_complete(directory.path());
      });
}

}  // namespace
}  // namespace inkling
