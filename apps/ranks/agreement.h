// Agreement of the ranks of a run before and while they train: an error of one rank ends all ranks, with one
// message; and ranks that would not compute the same model are refused.
#pragma once

#include <functional>
#include <string>

#include "core/error.h"
#include "core/ranks/ranks.h"

namespace inkling {

// SharedError: an error that all ranks throw at the same place, with the same message. So rank 0 alone prints
// it, and all ranks can end in the ordinary way.
class SharedError : public Error {
 public:
  SharedError(const std::string& message, int status) : Error(message), status_(status) {}
  int status() const { return status_; }  // the exit status of the program

 private:
  int status_;
};

// Calls f() on this rank, and waits until all ranks have called theirs. If an f() threw an error on any rank,
// this throws a SharedError on all ranks; its message names the rank and the host, unless it is rank 0's.
// With one rank, errors stay as they are. f() must not exchange messages.
void together(Ranks& ranks, const std::function<void()>& f);

// SharedError unless the text is the same on all ranks. The message has only the lines that differ: "the
// flags of the ranks differ ...: rank 1 on host b has --seed 7, rank 0 on host a has nothing in its place".
void expect_same(Ranks& ranks, const std::string& what, const std::string& text);

}  // namespace inkling
