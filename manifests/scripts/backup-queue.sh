#!/bin/sh
# Copies the queue's own database, verifies the copy and keeps the newest copies.
#
# BACKUP_KEEP  how many copies are kept
# QUEUECTL_DB  the queue; every job has it in its environment

# shellcheck source=manifests/scripts/nightly.sh
. "$(dirname -- "$0")/nightly.sh"

keep=${BACKUP_KEEP:-7}
whole_number BACKUP_KEEP "$keep"
command -v queuectl >/dev/null || refuse "queuectl is not on PATH"

copies=$nightly/backups
mkdir -p -- "$copies"
make_stage

# The copy gets its name when it is complete: a file in backups/ is never half a database.
queuectl backup "$stage/queue.db" >/dev/null || fail "queuectl could not copy and verify its database"
[ -s "$stage/queue.db" ] || fail "queuectl made no copy"
bytes=$(wc -c <"$stage/queue.db")
copy=$copies/queue-$(date -u +%Y%m%dT%H%M%SZ).db
mv -f -- "$stage/queue.db" "$copy"

# The names sort by age, and other names are somebody else's.
set -- "$copies"/queue-????????T??????Z.db
while [ "$#" -gt "$keep" ]; do
  rm -f -- "$1"
  shift
done

echo "copied and verified: $copy ($((bytes)) bytes)"
echo "$# of at most $keep copies kept"
