#!/usr/bin/env bash
# Says where to look after the first half of `make demo`.
set -euo pipefail
version=$(git rev-parse --short=7 HEAD 2>/dev/null || echo unknown)
cat <<TEXT

The shop's pipeline is green. Where to look:
  the pipeline      pipelines/shop.yml
  the services      services/frontend, services/orders, services/products
  the images        docker images 'shop/*:$version'
  one of them       docker run --rm -p 8080:8080 shop/frontend:$version    then http://localhost:8080/health
  state and logs    ${XDG_STATE_HOME:-$HOME/.local/state}/pipe
Run make demo again: nothing has changed, so every service is skipped. Change a file below services/orders, and
only orders is tested and built.
TEXT
