#!/bin/sh
# Checks which folders include which folders. A folder may include only the folders that are listed for it here, both at
# the top level and inside ops. An include in the other direction is an error.
#
#   core <- ops <- {nn, optim} <- apps
#   inside ops: {kernels, simd} <- {gemm, update, roof} <- attention <- the public ops <- isa
set -eu

status=0
complain() {  # arguments: the message, and the wrong lines (nothing is printed if there are none)
  [ -z "$2" ] || { echo "$1"; echo "$2"; status=1; }
}

# may_include NAME ALLOWED [FILES]: checks that the folder NAME (or FILES) includes only headers that match the pattern ALLOWED.
may_include() {
  # shellcheck disable=SC2086
  found=$(grep -rnE '#include "(core|ops|nn|optim|apps|tests|bench)/' ${3:-$1} | grep -vE "#include \"($2)" || true)
  complain "$1 may include only $2:" "$found"
}
may_include core 'core/'
may_include nn 'core/|ops/|nn/'
may_include optim 'core/|ops/|optim/'
may_include apps 'core/|ops/|nn/|optim/|apps/'

may_include ops/simd 'core/|ops/simd/'
may_include kernels 'core/|ops/kernels\.h' 'ops/kernels.h ops/kernels.cc'
lower='core/|ops/simd/|ops/kernels\.h'
for folder in gemm update roof; do may_include "ops/$folder" "$lower|ops/$folder/"; done
may_include ops/attention "$lower|ops/(gemm|update|roof|attention)/"
may_include 'the public ops' 'core/|ops/(simd|gemm|update|roof|attention)/|ops/[a-z_]*\.h' "$(find ops -maxdepth 1 -name '*.h' -o -maxdepth 1 -name '*.cc')"
may_include ops/isa 'core/|ops/'

# Three headers in ops/simd have no SIMD: the sizes of a tile, AMX's palette, and its emulation. All folders may include them.
complain "only *_simd.h, ops/simd and ops/isa may see SIMD:" "$(grep -rnE \
  '#include ([<"](xsimd|immintrin|x86intrin|arm_neon)|"ops/(simd/(simd|[a-z_0-9]*_simd)|isa/[a-z_0-9]*|[a-z_0-9/]*_simd)\.h)' \
  core ops nn optim apps | grep -vE '^ops/(simd/|isa/|[a-z_0-9/]*_simd\.h:)' || true)"
complain "only core may see TBB:" "$(grep -rlE '#include <tbb/' ops nn optim apps || true)"

[ "$status" -eq 0 ] && echo "layers: core <- ops <- {nn, optim} <- apps, and the folders of ops, hold"
exit "$status"
