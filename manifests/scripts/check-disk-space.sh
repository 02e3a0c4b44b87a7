#!/bin/sh
# Fails when a file system has too little space left.
#
# DISK_PATH              any path on the file system
# DISK_MIN_FREE_PERCENT  at least this much of it must be free,
# DISK_MIN_FREE_MB       and at least this much in megabytes

# shellcheck source=manifests/scripts/nightly.sh
. "$(dirname -- "$0")/nightly.sh"

path=${DISK_PATH:-$nightly}
min_percent=${DISK_MIN_FREE_PERCENT:-2}
min_mb=${DISK_MIN_FREE_MB:-512}
whole_number DISK_MIN_FREE_PERCENT "$min_percent"
whole_number DISK_MIN_FREE_MB "$min_mb"
[ "$min_percent" -le 100 ] || refuse "DISK_MIN_FREE_PERCENT must be at most 100: $min_percent"
[ -e "$path" ] || refuse "DISK_PATH does not exist: $path"

# The first column and the last may contain spaces: count from the column that ends in `%`. awk also
# divides: the arithmetic of some shells has 32 bits.
free=$(LC_ALL=C df -Pk -- "$path" | awk '
  NR > 1 {
    for (i = 5; i <= NF; i++) if ($i ~ /^[0-9]+%$/ && $(i - 3) > 0) {
      printf "%.0f %.0f\n", int($(i - 1) * 100 / $(i - 3)), int($(i - 1) / 1024)
      exit
    }
  }
')
[ -n "$free" ] || fail "df shows no size for $path"
percent=${free% *}
mb=${free#* }

if [ "$percent" -lt "$min_percent" ] || [ "$mb" -lt "$min_mb" ]; then
  fail "too little space at $path: $percent % free ($mb MB), at least $min_percent % and $min_mb MB wanted"
fi
echo "$path: $percent % free ($mb MB), at least $min_percent % and $min_mb MB wanted"
