#!/usr/bin/env bash
# This service's checks, the same by hand and in the pipeline:  ./ci.sh lint | test | lock
# `test` needs a PostgreSQL at DATABASE_URL (a role that may create databases) and writes reports/.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

# Installs the locked dependencies into .venv, once for each state of the lock file.
install() {
  local stamp=.venv/installed-requirements.txt
  # Without its interpreter, it was made elsewhere (in a container, say): begun anew.
  [[ -x .venv/bin/python ]] || python3 -m venv --without-pip --clear .venv
  cmp -s requirements-dev.txt "$stamp" && return 0
  python3 -m pip --python .venv install --quiet --disable-pip-version-check --root-user-action=ignore \
    --no-compile --no-deps --require-hashes -r requirements-dev.txt
  cp requirements-dev.txt "$stamp"
}

case ${1:-} in
  lint)
    install
    .venv/bin/ruff check .
    .venv/bin/ruff format --check --diff .
    ;;
  test)
    install
    rm -rf reports
    .venv/bin/python -m pytest -q --junitxml=reports/junit.xml \
      --cov-report=term --cov-report=xml:reports/cobertura.xml --cov-report=lcov:reports/lcov.info
    ;;
  lock)
    # uv resolves for every platform at once, which pip does not.
    uv() { python3 -m uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
      --no-emit-find-links --custom-compile-command './ci.sh lock' pyproject.toml "$@"; }
    uv --output-file requirements.txt
    uv --extra dev --constraint requirements.txt --output-file requirements-dev.txt
    ;;
  *)
    echo "usage: $0 lint | test | lock" >&2
    exit 2
    ;;
esac
