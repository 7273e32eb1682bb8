// inkling: trains GPT-2-style language models on the CPU. The program has a subcommand for each task.
//
// Results go to stdout, progress to stderr. An error is one line on stderr. The exit status is 0 after
// success, 1 after an error in a file or a computation, 2 if the command line is wrong, and 128 + signal if a
// signal interrupted the program.
#include <fcntl.h>
#include <unistd.h>

#include <exception>
#include <iostream>
#include <new>

#include "apps/command_line.h"
#include "core/error.h"
#include "core/mapped_files.h"

namespace {

// Opens /dev/null for each of stdin, stdout and stderr that is closed. Otherwise the next file that is opened
// would get this descriptor, and messages would be written into it.
void open_standard_streams() {
  int fd = open("/dev/null", O_RDWR);
  while (fd >= 0 && fd <= STDERR_FILENO) fd = open("/dev/null", O_RDWR);
  if (fd >= 0) close(fd);
}

}  // namespace

int main(int argc, char** argv) {
  using namespace inkling;
  open_standard_streams();
  report_shortened_files();
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
