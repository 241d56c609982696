#!/usr/bin/env bash
# Measures `pipe` side by side with what it is compared to, and prints medians and ratios. Usage: run.sh PATH_TO_PIPE [NAME…]
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
exec python3 "$here/bench.py" "$@"
