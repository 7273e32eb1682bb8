// The table of the kernels on AMX's tiles, compiled a second time: its instructions are calls of
// tests/amx_emulation.cc. tests/support.h chooses it where the CPU has no AMX.
#define INKLING_EMULATE_AMX
#include "ops/isa/isa_amx.cc"
