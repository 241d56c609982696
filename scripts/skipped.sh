#!/usr/bin/env bash
# Names the tests that passed since they could not run here, with what they lack: those that say SKIPPED.
# usage: scripts/skipped.sh REPORT   (JUnit's form, with what passed tests said)
set -euo pipefail

report=${1:?usage: scripts/skipped.sh REPORT}
if [[ ! -e $report ]]; then
  printf 'skipped: cargo test says nothing of tests that could not run; with cargo-nextest they are named here\n'
  exit 0
fi
awk '
  # The name comes first, then its crate.
  match($0, /<testcase name="[^"]*" classname="[^"]*"/) {
    split(substr($0, RSTART, RLENGTH), part, "\"")
    test = part[4] " " part[2]
  }
  /SKIPPED/ {
    line = substr($0, 1, 300)
    sub(/^.*<system-(out|err)>/, "", line)
    sub(/<\/system-(out|err)>.*$/, "", line)
    gsub(/&apos;/, "\047", line); gsub(/&quot;/, "\"", line); gsub(/&lt;/, "<", line); gsub(/&gt;/, ">", line); gsub(/&amp;/, "\\&", line)
    print "  " test ": " line
    count++
  }
  END {
    if (count) print "skipped: " count " test" (count == 1 ? "" : "s") " could not run here, by name above"
    else print "skipped: no test; each could run here"
  }
' "$report"
