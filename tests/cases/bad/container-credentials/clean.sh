kill "$(cat "$CASE/registry.pid")"
