// A process that runs one of the Python scripts in bench/peers. At each request it makes one call of the peer
// and answers with its time. It sleeps otherwise.
#pragma once

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace inkling::bench {

std::string& python_program();

// "PyTorch 2.15.0" or "tiktoken 0.12.0", or empty if there is no interpreter or it does not have the package.
const std::string& torch_name();
const std::string& tiktoken_name();

inline constexpr const char* kTorchStep = "bench/peers/torch_step.py";
inline constexpr const char* kTiktokenEncode = "bench/peers/tiktoken_encode.py";

class PythonProcess {
 public:
  // Returns after the warm-up, or if the process has failed.
  PythonProcess(const char* script, const std::vector<std::string>& arguments);
  ~PythonProcess();
  PythonProcess(const PythonProcess&) = delete;
  PythonProcess& operator=(const PythonProcess&) = delete;

  bool ready() const { return ready_; }
  double seconds();  // runs one call and returns its time

 private:
  std::string read_line();

  const char* script_;
  pid_t pid_ = -1;
  std::FILE* to_ = nullptr;
  std::FILE* from_ = nullptr;
  bool ready_ = false;
};

}  // namespace inkling::bench
