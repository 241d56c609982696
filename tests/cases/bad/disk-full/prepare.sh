mount -t tmpfs -o size=1m tmpfs "$CASE/state"
