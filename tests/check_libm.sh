#!/bin/sh
# The C library's mathematical functions (libm) give different last bits in different versions and on different CPUs. So no
# object of inkling may call them (core/portable_math.h has our own). Allowed are functions whose result IEEE 754 defines bit by
# bit: the square root, the fused multiply-add, and functions that round to integers.
# Arguments: libm, and the objects.
set -eu

allowed=' sqrt sqrtf fma fmaf ceil floor round trunc lround llround '
libm=$1
shift
functions=$(nm -D --defined-only "$libm" | awk '{ sub(/@.*/, "", $NF); print $NF }' | sort -u)
echo "$functions" | grep -qx exp || { echo "$libm: has no function exp, expected the library libm"; exit 1; }

found=$(for object in "$@"; do
  nm --undefined-only "$object" | awk -v object="$object" '{ print $NF, object }'
done | awk -v functions="$functions" -v allowed="$allowed" '
  BEGIN { n = split(functions, names, "\n"); for (i = 1; i <= n; ++i) in_libm[names[i]] = 1 }
  in_libm[$1] && index(allowed, " " $1 " ") == 0 { print $2 ": " $1 }')
if [ -n "$found" ]; then
  echo "these objects call functions of libm (core/portable_math.h has some that give the same bits everywhere):"
  echo "$found"
  exit 1
fi
echo "libm: $# objects call none of its functions except${allowed% }"
