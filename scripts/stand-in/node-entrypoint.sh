#!/bin/sh
# As in the official image: arguments that are no program are node's (`docker run node:20 --version`, `… app.js`).
set -e
if [ "${1#-}" != "$1" ] || [ -z "$(command -v "$1")" ] || { [ -f "$1" ] && ! [ -x "$1" ]; }; then
  set -- node "$@"
fi
exec "$@"
