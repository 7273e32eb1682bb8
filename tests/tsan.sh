#!/bin/sh
# Runs with ThreadSanitizer: first the tests that were built into the folder $1, then training on four threads. If
# ThreadSanitizer reports a race, the program ends with status 66.
set -eu
build=$1
export TSAN_OPTIONS="suppressions=tests/tbb.supp ${TSAN_OPTIONS:-}"
INKLING=$build/inkling "$build/inkling_tests"

runs=$(mktemp -d)
trap 'rm -rf "$runs"' EXIT
for flags in '--precision f32' '--precision bf16' '--precision f32 --recompute' '--precision bf16 --recompute'; do
  echo "training on four threads, $flags"
  # shellcheck disable=SC2086
  "$build/inkling" train --out "$runs/$flags" --data tests/goldens/curve_tokens.bin --vocab-size 131 --layers 2 --heads 2 --channels 32 \
    --batch-size 4 --seq-len 32 --grad-accum 2 --threads 4 --steps 4 --save-every 2 --val-every 2 $flags >"$runs/out" 2>&1 || {
    cat "$runs/out"
    exit 1
  }
done
echo "tsan: no race"
