#include "bench/python_process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "core/error.h"

namespace inkling::bench {

namespace {

struct Child {
  pid_t pid;
  int to, from;  // its stdin and stdout
};

// Starts `program`, found in PATH, and discards its stderr.
Child start(const std::string& program, const std::vector<std::string>& arguments) {
  std::array<int, 2> in{}, out{};
  std::signal(SIGPIPE, SIG_IGN);  // writing to a child that has died must be an error, not a signal
  if (pipe2(in.data(), O_CLOEXEC) != 0 || pipe2(out.data(), O_CLOEXEC) != 0) fail("cannot make a pipe");
  std::vector<std::string> copies = arguments;
  copies.insert(copies.begin(), program);
  std::vector<char*> argv;
  argv.reserve(copies.size() + 1);
  for (std::string& a : copies) argv.push_back(a.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid < 0) fail(program, ": cannot start a process");
  if (pid == 0) {
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(open("/dev/null", O_WRONLY | O_CLOEXEC), STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  return {pid, in[1], out[0]};
}

// Returns the name and version of a package of Python, or "" if it is not installed or `script` is not there.
std::string name_of_package(const std::string& name, const std::string& package, const char* script) {
  if (access(script, R_OK) != 0) return "";
  const std::string ask =
      "from importlib.metadata import version; print(version('" + package + "').split('+')[0])";
  const Child child = start(python_program(), {"-c", ask});
  close(child.to);
  std::array<char, 64> answer{};
  const ssize_t length = read(child.from, answer.data(), answer.size() - 1);
  close(child.from);
  waitpid(child.pid, nullptr, 0);
  std::string version(answer.data(), length > 0 ? static_cast<std::size_t>(length) : 0);
  version.erase(version.find_last_not_of('\n') + 1);
  return version.empty() ? "" : name + " " + version;
}

}  // namespace

std::string& python_program() {
  static std::string program = "python3";
  return program;
}

const std::string& torch_name() {
  static const std::string name = name_of_package("PyTorch", "torch", kTorchStep);
  return name;
}

const std::string& tiktoken_name() {
  static const std::string name = name_of_package("tiktoken", "tiktoken", kTiktokenEncode);
  return name;
}

PythonProcess::PythonProcess(const char* script, const std::vector<std::string>& arguments)
    : script_(script) {
  std::vector<std::string> all = {script};
  all.insert(all.end(), arguments.begin(), arguments.end());
  const Child child = start(python_program(), all);
  pid_ = child.pid;
  to_ = fdopen(child.to, "w");
  from_ = fdopen(child.from, "r");
  ready_ = read_line().starts_with("ready");
}

PythonProcess::~PythonProcess() {
  std::fclose(to_);  // the child ends at the end of its input
  std::fclose(from_);
  waitpid(pid_, nullptr, 0);
}

std::string PythonProcess::read_line() {
  std::array<char, 128> line{};
  return std::fgets(line.data(), static_cast<int>(line.size()), from_) == nullptr ? "" : line.data();
}

double PythonProcess::seconds() {
  if (std::fputs("run\n", to_) < 0 || std::fflush(to_) != 0) fail(script_, ": the process has ended");
  const std::string answer = read_line();
  if (answer.empty()) fail(script_, ": the process has ended");
  return std::stod(answer);
}

}  // namespace inkling::bench
