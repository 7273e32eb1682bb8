// A process that runs bench/peers/torch_step.py and takes a step whenever it is asked to; in between it
// sleeps.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace inkling::bench {

std::string& python_program();

// "PyTorch 2.15.0", or nothing where the interpreter is missing or has none.
const std::string& torch_name();

class TorchProcess {
 public:
  explicit TorchProcess(const std::vector<std::string>& arguments);  // returns when it is warm, or has failed
  ~TorchProcess();
  TorchProcess(const TorchProcess&) = delete;
  TorchProcess& operator=(const TorchProcess&) = delete;

  bool ready() const { return ready_; }
  double seconds();  // of one call, now

 private:
  std::string read_line();

  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
  bool ready_ = false;
};

}  // namespace inkling::bench
