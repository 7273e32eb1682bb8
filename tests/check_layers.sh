#!/bin/sh
# The floors of the house: core <- ops <- {nn, optim} <- apps. A folder may include only what lies below it, and SIMD is
# seen only by ops/simd.h, ops/*_simd.h, ops/table.h and ops/isa_*.cc.
set -eu

status=0
may_not_include() {  # folder, pattern of forbidden folders
  found=$(grep -rnE "#include \"($2)/" "$1" || true)
  if [ -n "$found" ]; then
    echo "$1/ must not include $2:"
    echo "$found"
    status=1
  fi
}
may_not_include core "ops|nn|optim|apps|tests|bench"
may_not_include ops "nn|optim|apps|tests|bench"
may_not_include nn "optim|apps|tests|bench"
may_not_include optim "nn|apps|tests|bench"
may_not_include apps "tests|bench"

found=$(grep -rlE '#include ([<"](xsimd|immintrin|x86intrin|arm_neon)|"ops/(simd|table|[a-z_0-9]*_simd)\.h")' core ops nn optim apps |
  grep -vE '^ops/(simd\.h|table\.h|[a-z_0-9]*_simd\.h|isa_[a-z0-9_]*\.cc)$' || true)
if [ -n "$found" ]; then
  echo "only ops/simd.h, ops/*_simd.h, ops/table.h and ops/isa_*.cc may see SIMD:"
  echo "$found"
  status=1
fi
found=$(grep -rlE '#include <tbb/' ops nn optim apps || true)
if [ -n "$found" ]; then
  echo "only core/ may see TBB:"
  echo "$found"
  status=1
fi
[ "$status" -eq 0 ] && echo "layers: core <- ops <- {nn, optim} <- apps holds"
exit "$status"
