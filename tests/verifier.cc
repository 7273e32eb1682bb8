// `inkling verify` as a program of its own. It needs no more of apps than the recipes, so that an emulated
// machine can be compared with the known hashes after two minutes of compiling (make verify-arm64).
#include "apps/commands.h"

int main(int argc, char** argv) {
  CLI::App app("Compares the results of this machine with the known hashes");
  inkling::Action action;
  inkling::add_verify(app, action);
  CLI11_PARSE(app, argc, argv);
  return action ? action() : 2;
}
