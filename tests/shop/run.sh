#!/usr/bin/env bash
# Runs a check of a deployed shop with Node: this machine's if it has one, else in the image that the pipeline uses, on this
# machine's network.   tests/shop/run.sh smoke | e2e | load | versions | page | figure [ARGUMENTS]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
name=${1:?usage: run.sh smoke | e2e | load | versions | page | figure [ARGUMENTS]}
shift
if node -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null; then
  exec node "$name.mjs" "$@"
fi
exec docker run --rm --init --interactive --network host --env SHOP_URL --env TEST_URL --env SERVICE --env VERSION --env AUTHORIZATION \
  --volume "$PWD:/shop:ro" --workdir /shop node:20-bookworm-slim node "$name.mjs" "$@"
