#!/usr/bin/env bash
# Prints a service's test results and coverage as Markdown, from reports/junit.xml and reports/cobertura.xml:
#   services/report.sh NAME >> "$GITHUB_STEP_SUMMARY"
# Uses only what every slim image has. It never fails the job: the tests and their coverage gate do that.
set -euo pipefail

name=${1:?usage: report.sh SERVICE}
reports=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/$name/reports
echo "### $name"

if [[ ! -s $reports/junit.xml ]]; then
  echo "No test report: the tests did not get that far."
  exit 0
fi

# One record per tag, known by its first word: what tests print is escaped there, and can't be taken for results.
awk '
  BEGIN { RS = "<"; tests = failed = skipped = 0 }
  /^testcase[ \t\n]/ {
    tests++
    title = attribute("name")
    group = attribute("classname")
    if (group != "" && group != "test") title = group " › " title
    counted = 0
  }
  (/^failure/ || /^error/) && !counted { counted = 1; failures[++failed] = title }
  /^skipped/ { skipped++ }
  END {
    printf "%s **%d tests**: %d passed, %d failed, %d skipped\n", (failed ? "❌" : "✅"), tests, tests - failed - skipped, failed, skipped
    if (failed) print ""
    for (i = 1; i <= failed; i++) print "- ❌ " failures[i]
  }
  function attribute(key,   at, rest) {
    at = match($0, "[ \t\n]" key "=\"")
    if (!at) return ""
    rest = substr($0, at + RLENGTH)
    return substr(rest, 1, index(rest, "\"") - 1)
  }
' "$reports/junit.xml"

[[ -s $reports/cobertura.xml ]] || exit 0
echo
awk '
  BEGIN { RS = "<" }
  /^coverage[ \t\n]/ {
    printf "**Coverage**: %.1f %% of lines, %.1f %% of branches\n\n", 100 * attribute("line-rate"), 100 * attribute("branch-rate")
    print "<details><summary>Files</summary>\n\n| file | lines | branches |\n|---|---:|---:|"
  }
  /^class[ \t\n]/ { printf "| `%s` | %.1f %% | %.1f %% |\n", attribute("filename"), 100 * attribute("line-rate"), 100 * attribute("branch-rate") }
  END { print "\n</details>" }
  function attribute(key,   at, rest) {
    at = match($0, "[ \t\n]" key "=\"")
    if (!at) return ""
    rest = substr($0, at + RLENGTH)
    return substr(rest, 1, index(rest, "\"") - 1)
  }
' "$reports/cobertura.xml"
