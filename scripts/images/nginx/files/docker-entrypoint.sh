#!/bin/sh
# Run what lies in /docker-entrypoint.d in order (*.envsh is sourced, *.sh run), then become the server.
set -e
if [ "$1" = nginx ] || [ "$1" = nginx-debug ]; then
  for file in /docker-entrypoint.d/*; do
    case $file in
      *.envsh) if [ -x "$file" ]; then . "$file"; fi ;;
      *.sh) if [ -x "$file" ]; then "$file"; fi ;;
    esac
  done
fi
exec "$@"
