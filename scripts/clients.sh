#!/usr/bin/env bash
# Installs GitHub's own packages for the tests that use them (tests/clients), as its lock file says.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../tests/clients"
fail() { printf 'clients: %s\n' "$*" >&2; exit 1; }
command -v node > /dev/null || fail "Node is missing: install node 20 or newer"
command -v npm > /dev/null || fail "npm is missing: install it"
exec 9> .installing
flock 9
if [[ ! -e node_modules/.package-lock.json || package-lock.json -nt node_modules/.package-lock.json ]]; then
  npm ci --silent --prefer-offline
fi
