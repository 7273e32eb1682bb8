// A process that runs bench/peers/torch_step.py. It takes one step at each request, and sleeps otherwise.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace inkling::bench {

std::string& python_program();

// "PyTorch 2.15.0", or empty if there is no interpreter or it has no PyTorch.
const std::string& torch_name();

class TorchProcess {
 public:
  explicit TorchProcess(
      const std::vector<std::string>& arguments);  // returns after the warm-up, or if the process has failed
  ~TorchProcess();
  TorchProcess(const TorchProcess&) = delete;
  TorchProcess& operator=(const TorchProcess&) = delete;

  bool ready() const { return ready_; }
  double seconds();  // runs one call and returns its time

 private:
  std::string read_line();

  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
  bool ready_ = false;
};

}  // namespace inkling::bench
