// inkling: trains GPT-2-style language models on the CPU. One binary, a subcommand for each thing one does
// with a model.
//
// stdout carries results, stderr progress and one line for whatever went wrong. Exit status: 0 done, 1
// something is wrong with a file or a computation, 2 the command line asks for what cannot be, 128 + signal
// when interrupted.
#include <exception>
#include <iostream>
#include <new>

#include "apps/command_line.h"
#include "core/error.h"

namespace {

// A message may quote a file's name or content, with line breaks in it: they are shown as spaces.
void print_error(std::string message) {
  for (char& c : message) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  std::cerr << "inkling: " << message << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace inkling;
  try {
    const Action action = parse_command_line(argc, argv);
    const int status = action();
    if (!std::cout.flush()) fail("cannot write to stdout");
    return status;
  } catch (const UsageError& error) {
    print_error(error.what());
    return 2;
  } catch (const std::bad_alloc&) {
    print_error("out of memory");
    return 1;
  } catch (const std::exception& error) {
    print_error(error.what());
    return 1;
  }
}
