#!/bin/sh
# If two isa objects contain the same inline function, the linker keeps only one of the two copies. This copy may use
# instructions that an older CPU does not have. So no weak symbol may be in more than one of the given objects. Some symbols that
# the compiler makes itself are allowed, because they do no arithmetic: the reference to the unwinder, clang's call of
# std::terminate, and the descriptions of types (_ZTI, _ZTS), which UndefinedBehaviorSanitizer compares.
set -eu

shared=$(for object in "$@"; do
  nm "$object" | awk '$(NF-1) ~ /^[WVu]$/ && $NF !~ /^(DW\.ref\.|__clang_call_terminate|_ZT[IS])/ { print $NF }' | sort -u
done | sort | uniq -d)
if [ -n "$shared" ]; then
  echo "these functions are in more than one isa object:"
  echo "$shared" | c++filt
  exit 1
fi
echo "isa: $# objects share no inline function"
