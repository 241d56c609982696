#!/usr/bin/env bash
# Uses the pages of a real server in Chromium: tests/browser. As root on Debian it installs what is missing (Chromium, a
# font, Node); otherwise it says what to install, and fails.
# Usage: browser.sh PATH_TO_PIPE [FILE…]      files of tests/browser; all tests without any
#        browser.sh PATH_TO_PIPE screenshots  makes the pictures of docs/ui.md again
#        browser.sh PATH_TO_PIPE ready        installs what is missing and ends, for benches/pages.py
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../tests/browser" && pwd)
PIPE=$(realpath "${1:?usage: browser.sh PATH_TO_PIPE [FILE…]}")
export PIPE
shift
# A file of tests takes a minute on two cores that have nothing else to do; what waits inside has limits of its own.
FILE_MILLISECONDS_MAX=900000

has() { command -v "$1" > /dev/null; }
fail() { printf 'browser: %s\n' "$*" >&2; exit 1; }

packages=()
[[ -n ${CHROMIUM:-} ]] || has chromium || has chromium-browser || has google-chrome || packages+=(chromium fonts-dejavu-core)
has node || packages+=(nodejs)
has npm || packages+=(npm)
if ((${#packages[@]} > 0)); then
  has apt-get || fail "missing: ${packages[*]}; install them with this system's package manager (CHROMIUM names another Chromium)"
  [[ $(id -u) == 0 ]] || fail "missing: ${packages[*]}; run: sudo apt-get update && sudo apt-get install -y --no-install-recommends ${packages[*]}"
  printf 'browser: installing %s\n' "${packages[*]}"
  log=$(mktemp)
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}"; } \
    > "$log" 2>&1 || { tail -n 20 "$log" >&2; fail "apt-get failed; its output: $log"; }
  rm -f "$log"
fi
node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' ||
  fail "Node $(node --version) is too old: 20 or newer is needed, from https://nodejs.org"

cd "$here"
if [[ ! -e node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
  npm ci --silent --prefer-offline
fi
if [[ ${1:-} == ready ]]; then
  exit
fi
if [[ ${1:-} == screenshots ]]; then
  exec node screenshots.mjs
fi
if (($# == 0)); then
  set -- *.test.mjs
fi
failed=$(mktemp)
trap 'rm -f "$failed"' EXIT

# run CONCURRENCY FILE…    files in which a test failed are in $failed afterwards
run() {
  node --test --test-concurrency="$1" --test-timeout="$FILE_MILLISECONDS_MAX" --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=./failed.mjs --test-reporter-destination="$failed" "${@:2}"
}

run 2 "$@" && exit
# As the profile `ci` of .config/nextest.toml: on a machine that others use as well, what fails is tried once more, by itself.
[[ -n ${CI:-} && -s $failed ]] || exit 1
mapfile -t again < "$failed"
printf 'browser: tried once more: %s\n' "${again[@]##*/}"
run 1 "${again[@]}" || exit 1
printf 'browser: FLAKY: %s\n' "${again[@]##*/}"
