// The table of the amx kernels, compiled a second time. Here each AMX instruction is a call of a function in
// tests/amx_emulation.cc. tests/support.h uses this table on CPUs that have AVX512-BF16 but no AMX.
#define INKLING_EMULATE_AMX
#include "ops/isa/isa_amx.cc"
