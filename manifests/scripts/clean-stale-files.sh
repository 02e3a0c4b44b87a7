#!/bin/sh
# Removes what killed scripts left in NIGHTLY_DIR/queuectl-tmp, and nothing anywhere else: which folder
# is cleaned cannot be configured.
#
# STALE_DAYS  files that were not changed for this many days are removed

# shellcheck source=manifests/scripts/nightly.sh
. "$(dirname -- "$0")/nightly.sh"

days=${STALE_DAYS:-3}
whole_number STALE_DAYS "$days"
[ "$days" -le 36500 ] || refuse "STALE_DAYS must be at most 36500: $days"

# Ask where we are only after going there: then nobody can put a symbolic link in between.
cd -- "$scratch"
[ "$(pwd -P)" = "$scratch" ] || refuse "$scratch leads to another place: $(pwd -P)"

# -mmin, for -mtime rounds up on BSD and down elsewhere. find follows no symbolic link; an old link
# goes itself, what it leads to stays.
# shellcheck disable=SC2016
counts=$(find . -xdev ! -type d -mmin "+$((days * 1440))" \
  -exec sh -c 'rm -f -- "$@" && echo "$#"' sh {} +) || fail "not everything in $scratch could be removed"
removed=0
for count in $counts; do removed=$((removed + count)); done

# rmdir removes empty folders only, and complaining about the others is all that it can do.
find . -depth -xdev -type d ! -name . -mmin "+$((days * 1440))" -exec rmdir {} + 2>/dev/null || true

echo "removed $removed files older than $days days from $scratch"
