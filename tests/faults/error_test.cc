// Runs in which one system call fails: it returns an error, it writes only a part of the bytes, or a signal
// interrupts it.
//
// Each test lets every call that its fault applies to fail once. Calls fail with EIO and ENOSPC in turn.
// Testing each call with both errors would take twice the time, and the program treats all errors in the same
// way.
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

// The end of a run with a fault.
struct Aftermath {
  SystemCall call;      // the call that failed
  bool ended = false;   // whether an exception ended the run
  std::string message;  // the exception's message
};

// For every call i for which `applies` is true: makes a run with fault(i), and calls `check` with the end of
// the run and its directory.
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

// Checks that the message is one line that begins with a path and contains the reason.
void check_message(const Aftermath& aftermath, const TemporaryDirectory& directory,
                   const std::string& reason) {
  CHECK(aftermath.message.starts_with(directory.path()));
  CHECK_THAT(aftermath.message, contains(reason));
  CHECK(aftermath.message.find('\n') == std::string::npos);
}

// Whether the run must end if this call fails. The program may ignore errors when it opens a file for
// reading, and when it closes a file that it has read or its lock.
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

TEST_CASE("errors: a failing system call ends the run with a message of one line; the run can be resumed") {
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

TEST_CASE("errors: a full disk ends the run with a message of one line; with more space it can be resumed") {
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

TEST_CASE("errors: if write() writes only a part of the bytes, the program writes the rest") {
  const ShortRun run;
  for_each_fault(
      run, [](std::int64_t call) { return Fault{.call = call}; },
      [](const SystemCall& call) { return call.kind == Kind::write && call.bytes.size() > 1; },
      [&](const Aftermath& aftermath, const TemporaryDirectory& directory) {
        CHECK_FALSE(aftermath.ended);
        run.check_complete(directory.path());
      });
}

TEST_CASE("errors: if a signal interrupts a system call, the program repeats the call") {
  const ShortRun run;
  // Linux never interrupts the other calls. openat is called only by the C++ library, so the program cannot
  // repeat it.
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
