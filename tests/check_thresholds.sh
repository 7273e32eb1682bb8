#!/bin/sh
# A threshold is a constant at which the code takes another path or divides its work. Every threshold has a test with
# sizes below and above it. tests/thresholds.txt lists all thresholds with the names of their tests. This script compares
# the list with the sources and the tests. A constant is a `constexpr` number named k... in core, ops, nn, optim or apps. A
# constant that is not a threshold is in the list, too, with the reason.
set -eu

list=tests/thresholds.txt
status=0
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# The constants, one on each line as "file name". A declaration may have several lines and declare several constants.
find core ops nn optim apps -name '*.h' -o -name '*.cc' | sort | xargs awk '
  FNR == 1 { open = 0 }
  { line = $0; sub(/\/\/.*/, "", line) }
  !open && line ~ /(^|[^a-z])constexpr / && line !~ /if constexpr/ { open = 1; text = "" }
  open { text = text " " line }
  open && line ~ /[;{]/ {
    open = 0
    if (text ~ /constexpr (bool|std::string_view|const char\*) /) next
    while (match(text, /(^|[^A-Za-z0-9_:])k[A-Z][A-Za-z0-9_]*(<[A-Za-z]*>)? *(=[^=]|\{|\[)/)) {
      name = substr(text, RSTART, RLENGTH)
      text = substr(text, RSTART + RLENGTH)
      match(name, /k[A-Z][A-Za-z0-9_]*/)
      print FILENAME, substr(name, RSTART, RLENGTH)
    }
  }' | sort -u > "$temporary/constants"

# The list. Above the line of dashes a line is "file name | test", one line for each test. Below it a line is "file name | reason".
# Comments and empty lines are skipped.
grep -vE '^(#|$)' "$list" | awk -F ' [|] ' -v out="$temporary" '
  /^---/ { below = 1; next }
  NF != 2 { print "tests/thresholds.txt: expected \"file constant | text\", got: " $0 > (out "/malformed"); next }
  { print $1 > (out "/listed") }
  !below { print $2 > (out "/tests") }'
[ ! -e "$temporary/malformed" ] || { cat "$temporary/malformed"; status=1; }
sort "$temporary/listed" > "$temporary/sorted"

# The names of the tests. A name that is split over several lines is joined first. The list may give only the beginning of a name.
find tests -name "*_test.cc" | xargs cat | tr '\n' ' ' | sed 's/" *"//g' | grep -oE 'TEST_CASE\( *"[^"]*' | sed 's/^[^"]*"/^/' > "$temporary/names"

complain() {  # arguments: the message, and the wrong lines (nothing is printed if there are none)
  [ -z "$2" ] || { printf '%s\n%s\n' "$1" "$2"; status=1; }
}
complain "not in $list: is it a threshold, and which test runs on each side of it?" \
  "$(sort -u "$temporary/sorted" | comm -23 "$temporary/constants" -)"
complain "in $list, but in no source:" "$(sort -u "$temporary/sorted" | comm -13 "$temporary/constants" -)"
complain "twice in $list:" "$(grep -vE '^(#|$)' "$list" | sort | uniq -d)"
complain "named in $list, but no test is called so:" \
  "$(sort -u "$temporary/tests" | while read -r name; do grep -qF "^$name" "$temporary/names" || echo "$name"; done)"
[ "$status" -eq 0 ] && echo "thresholds: each of $(wc -l < "$temporary/tests") has a test"
exit "$status"
