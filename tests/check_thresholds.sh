#!/bin/sh
# Every constant at which code changes its path or cuts its work has a test on each side of it. tests/thresholds.txt
# lists them all, with the name of the test; this compares the list with the sources and the tests. A constant is a
# `constexpr` number named k... in core, ops, nn, optim or apps; one that is no threshold is listed as well, with why.
set -eu

list=tests/thresholds.txt
status=0
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT

# The constants: "file name", a line each. A declaration may take several lines and declare several constants.
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

# The list: comments and empty lines aside, "file name | test" (a line for each test) above the line of dashes and "file name | reason" below.
grep -vE '^(#|$)' "$list" | awk -F ' [|] ' -v out="$temporary" '
  /^---/ { below = 1; next }
  NF != 2 { print "tests/thresholds.txt: expected \"file constant | text\", got: " $0 > (out "/malformed"); next }
  { print $1 > (out "/listed") }
  !below { print $2 > (out "/tests") }'
[ ! -e "$temporary/malformed" ] || { cat "$temporary/malformed"; status=1; }
sort "$temporary/listed" > "$temporary/sorted"

# The tests: their names, and literals of several lines joined. A name in the list may be the beginning of one.
find tests -name "*_test.cc" | xargs cat | tr '\n' ' ' | sed 's/" *"//g' | grep -oE 'TEST_CASE\( *"[^"]*' | sed 's/^[^"]*"/^/' > "$temporary/names"

complain() {  # what is wrong, lines
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
