#!/usr/bin/env bash
# Runs `ci.sh COMMAND` of every service, each where its language is: on this machine if it has it, else in the image that
# the pipeline uses.   scripts/services.sh lint
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../services"
command=${1:?usage: services.sh COMMAND}

here_has() {
  case $1 in
    node) node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1 ;;
    python) python3 -c 'import sys, venv, pip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ;;
  esac
}

for service in *; do
  [[ -x $service/ci.sh ]] || continue
  if [[ -e $service/package.json ]]; then language=node image=node:20-bookworm-slim
  else language=python image=python:3.11-slim-bookworm; fi
  echo "services: $service: $command"
  if here_has "$language"; then
    "$service/ci.sh" "$command"
  else
    docker run --rm --user "$(id -u):$(id -g)" --env HOME=/tmp --volume "$PWD:$PWD" --workdir "$PWD" "$image" \
      "$service/ci.sh" "$command"
  fi
done
