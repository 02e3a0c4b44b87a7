#!/bin/sh
# What `make demo` runs: the nightly manifest, from its file to the output of a job, on a fresh queue.
set -eu
CDPATH=
cd -- "$(dirname -- "$0")/.."
command -v queuectl >/dev/null || {
  echo "queuectl is not on PATH: run \`make demo\`" >&2
  exit 1
}

QUEUECTL_DB=$(pwd -P)/.queuectl/demo.db
export QUEUECTL_DB
rm -f -- "$QUEUECTL_DB" "$QUEUECTL_DB-wal" "$QUEUECTL_DB-shm"
rm -rf -- "$QUEUECTL_DB.d"

show() {
  printf '\n$ %s\n' "$*"
  "$@"
}

show queuectl validate manifests/
show queuectl plan manifests/nightly.toml
show queuectl apply manifests/nightly.toml
show queuectl next -n 6
show queuectl trigger nightly/disk-space nightly/db-backup nightly/archive-docs nightly/rotate-logs nightly/clean-stale-files

drained=0
show queuectl run --workers 4 --drain || drained=$?

show queuectl status
show queuectl list
show queuectl logs nightly/db-backup
exit "$drained"
