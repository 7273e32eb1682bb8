#!/bin/sh
# Runs targets of inkling_fuzz, one on each core, and prints a line for each. Stops at the first input that shows a bug.
#   run.sh BUILD SECONDS [TARGET...]
# libFuzzer stores useful inputs for a target in BUILD/corpus/TARGET, and the next run starts from these inputs.
set -eu
build=$1 seconds=$2
shift 2
fuzz=$build/inkling_fuzz

# The status 255 of one target keeps xargs from starting others.
if [ $# -ne 1 ]; then
  printf '%s\n' ${*:-$("$fuzz")} | xargs -n 1 -P "$(nproc)" sh "$0" "$build" "$seconds"
  exit
fi

target=$1 log=$build/$1.log crashes=$build/crashes/$1
mkdir -p "$build/corpus/$target" "$crashes"
# Targets write files. In memory this is fast.
TMPDIR=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
trap 'exit 130' INT TERM

# Inputs of 4 KiB are enough to reach all code. An input that takes more than 10 s or 512 MB is a bug, too. The limits are
# high, because sanitizers make a reader slow.
if "$fuzz" "$target" "$build/corpus/$target" "tests/fuzz/seeds/$target" -dict=tests/fuzz/dictionary \
  -max_total_time="$seconds" -max_len=4096 -timeout=10 -rss_limit_mb=512 -malloc_limit_mb=256 \
  -artifact_prefix="$crashes/" -print_final_stats=1 >"$log" 2>&1; then
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  covered=$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -n 1)
  printf '%-14s %9s inputs, %6s branches covered: nothing found\n' "$target" "$runs" "$covered"
else
  input=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
  printf '%-14s FAILED: %s\n' "$target" "$(grep -m 1 -E 'ERROR|runtime error|what\(\)' "$log" || echo "see $log")"
  echo "  the log:      $log"
  echo "  the input:    ${input:-none was written}"
  echo "  to try again: $fuzz $target $input"
  exit 255
fi
