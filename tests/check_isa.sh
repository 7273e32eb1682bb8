#!/bin/sh
# An inline function that two isa objects both contain is merged by the linker into one, compiled with the flags of either: on an
# older CPU that is an illegal instruction. So no weak symbol may be in more than one of the objects given, but for the compiler's own
# two that hold no arithmetic: the reference to the unwinder, and clang's call of std::terminate.
set -eu

shared=$(for object in "$@"; do
  nm "$object" | awk '$(NF-1) ~ /^[WVu]$/ && $NF !~ /^(DW\.ref\.|__clang_call_terminate)/ { print $NF }' | sort -u
done | sort | uniq -d)
if [ -n "$shared" ]; then
  echo "these functions are in more than one isa object:"
  echo "$shared" | c++filt
  exit 1
fi
echo "isa: $# objects share no inline function"
