// Two "hosts" on this machine: network namespaces with names of their own, joined by a link of a limited
// bandwidth. Ranks on different hosts can exchange messages only over this link.
#pragma once

#include <unistd.h>

#include "tests/apps/ranks/mpirun.h"

namespace inkling::test {

class TwoHosts {
 public:
  // Skips the test if this machine does not allow network namespaces or limits (ip netns, tc), with the
  // system's reason.
  explicit TwoHosts(int mbits) : a_(str("inka", getpid())), b_(str("inkb", getpid())) {
    try_or_skip("ip netns add " + a_);
    try_or_skip("ip netns add " + b_);
    try_or_skip(str("ip link add e0 netns ", a_, " type veth peer name e0 netns ", b_));
    int last = 0;
    for (const std::string& host : {a_, b_}) {
      try_or_skip(str("ip -n ", host, " addr add 10.77.0.", ++last, "/24 dev e0"));
      try_or_skip(str("ip -n ", host, " link set lo up"));
      try_or_skip(str("ip -n ", host, " link set e0 up"));
      try_or_skip(str("ip netns exec ", host, " tc qdisc add dev e0 root tbf rate ", mbits,
                      "mbit burst 64kb latency 200ms"));
    }
    // mpirun starts the rank of the other host with this program instead of ssh.
    write_text(agent_, str("#!/bin/sh\nshift\nexec ip netns exec ", b_,
                           " unshare -u sh -c \"hostname hostb; $*\"\n"));
    std::filesystem::permissions(agent_, std::filesystem::perms::owner_all);
  }
  ~TwoHosts() { remove(); }
  TwoHosts(const TwoHosts&) = delete;
  TwoHosts& operator=(const TwoHosts&) = delete;

  // Runs inkling on a rank on each host.
  Process run(const std::vector<std::string>& arguments, unsigned seconds = 120) const {
    std::vector<std::string> words = {"netns", "exec", a_,   "unshare",
                                      "-u",    "sh",   "-c", "hostname hosta; exec \"$0\" \"$@\""};
    // With these settings, mpirun notices within 8 s that a host has vanished (README.md, "Many machines").
    const std::vector<std::string> mpirun = {"mpirun",
                                             "--allow-run-as-root",
                                             "--host",
                                             "10.77.0.1:1,10.77.0.2:1",
                                             "-n",
                                             "2",
                                             "--mca",
                                             "plm_rsh_agent",
                                             agent_,
                                             "--mca",
                                             "oob_tcp_keepalive_time",
                                             "5",
                                             "--mca",
                                             "oob_tcp_keepalive_intvl",
                                             "1",
                                             "--mca",
                                             "oob_tcp_keepalive_probes",
                                             "3",
                                             std::filesystem::absolute(binary()).string()};
    words.insert(words.end(), mpirun.begin(), mpirun.end());
    words.insert(words.end(), arguments.begin(), arguments.end());
    return Process(words, seconds, "/dev/null", "ip");
  }

  // Cuts the link. Host b is gone for host a, without a word.
  void cut() const { run_quietly(str("ip -n ", b_, " link set e0 down")); }

 private:
  static std::pair<int, std::string> run_quietly(const std::string& command) {
    const TemporaryDirectory temporary;
    const int status = std::system((command + " > /dev/null 2> " + (temporary / "err")).c_str());
    return {status, read_text(temporary / "err")};
  }
  void try_or_skip(const std::string& command) {
    const auto [status, why] = run_quietly(command);
    if (status == 0) return;
    remove();
    skip(str("this machine does not allow `", command, "`: ", why.substr(0, why.find('\n'))));
  }
  void remove() const {
    for (const std::string& host : {a_, b_}) run_quietly("ip netns del " + host);
  }

  TemporaryDirectory directory_;
  std::string a_, b_, agent_ = directory_ / "agent.sh";
};

}  // namespace inkling::test
