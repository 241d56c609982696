#!/usr/bin/env bash
# This service's checks, the same by hand and in the pipeline:  ./ci.sh lint | test | lock
# `test` writes reports/; it needs nothing but node.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
COVERAGE_PERCENT_MIN=85

# Installs the locked dependencies, once for each state of the lock file.
install() {
  local stamp=node_modules/.installed-package-lock.json
  cmp -s package-lock.json "$stamp" && return 0
  npm ci --no-audit --no-fund --loglevel=error
  cp package-lock.json "$stamp"
}

case ${1:-} in
  lint)
    install
    node_modules/.bin/eslint .
    ;;
  test)
    install
    rm -rf reports
    mkdir reports
    status=0
    node_modules/.bin/c8 --src src --include 'src/**' --all --reports-dir reports --temp-directory reports/.v8 \
      --reporter text --reporter cobertura --reporter lcovonly --check-coverage \
      --lines "$COVERAGE_PERCENT_MIN" --functions "$COVERAGE_PERCENT_MIN" --branches "$COVERAGE_PERCENT_MIN" \
      node --test --test-reporter=dot --test-reporter-destination=stdout \
      --test-reporter=junit --test-reporter-destination=reports/junit.xml test/*.test.js || status=$?
    [[ ! -f reports/cobertura-coverage.xml ]] || mv reports/cobertura-coverage.xml reports/cobertura.xml
    rm -rf reports/.v8
    exit "$status"
    ;;
  lock)
    npm install --package-lock-only --no-audit --no-fund
    ;;
  *)
    echo "usage: $0 lint | test | lock" >&2
    exit 2
    ;;
esac
