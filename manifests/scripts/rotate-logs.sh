#!/bin/sh
# Rotates the *.log files of a folder that have grown large: FILE.log is copied to FILE.log.1.gz and
# emptied in place, older generations move up by one, the oldest goes.
#
# LOG_DIR     the folder
# LOG_MAX_KB  files larger than this are rotated
# LOG_KEEP    how many generations of a file are kept
#
# Programs go on writing to the emptied file; they must have opened it for appending (`>>`). A line
# written in the instant between the copy and the emptying is lost, as with logrotate's copytruncate.

# shellcheck source=manifests/scripts/nightly.sh
. "$(dirname -- "$0")/nightly.sh"

max_kb=${LOG_MAX_KB:-1024}
keep=${LOG_KEEP:-5}
whole_number LOG_MAX_KB "$max_kb"
whole_number LOG_KEEP "$keep"
[ -n "${LOG_DIR:-}" ] || mkdir -p -- "$nightly/logs"
dir=${LOG_DIR:-$nightly/logs}
cd -- "$dir" || refuse "LOG_DIR is not a folder that can be entered: $dir"

# Copies a log to LOG.rotating and empties it. If that is not possible, the log stays as it was.
take() {
  # `true`, not `:`: a special builtin would end the script when it cannot open the file.
  { cp -p "$1" "$1.rotating" && true >"$1"; } || {
    rm -f "$1.rotating"
    return 1
  }
}

# Makes LOG.rotating, if there is one, the first generation. Killed anywhere, it is finished next time:
# gzip removes LOG.rotating only when LOG.rotating.gz is complete.
finish() {
  if [ -e "$1.rotating" ]; then
    gzip -f "$1.rotating" || return 1
  fi
  [ -e "$1.rotating.gz" ] || return 0

  # Make room: from the first gap down, so that a shift that was interrupted loses nothing.
  n=1
  while [ -e "$1.$n.gz" ]; do n=$((n + 1)); done
  while [ "$n" -gt "$keep" ]; do
    n=$((n - 1))
    rm -f "$1.$n.gz" || return 1
  done
  while [ "$n" -gt 1 ]; do
    mv -f "$1.$((n - 1)).gz" "$1.$n.gz" || return 1
    n=$((n - 1))
  done
  mv -f "$1.rotating.gz" "$1.1.gz"
}

logs=0 rotated=0 failed=0
for log in ./*.log; do
  if [ ! -f "$log" ] || [ -L "$log" ]; then continue; fi
  logs=$((logs + 1))
  if [ -L "$log.rotating" ]; then
    printf '%s: %s\n' "${0##*/}" "a symbolic link is in the way: $dir/${log#./}.rotating" >&2
    failed=$((failed + 1))
  elif ! finish "$log" || ! size=$(wc -c <"$log"); then
    failed=$((failed + 1))
  elif [ $((size)) -gt $((max_kb * 1024)) ]; then
    if take "$log" && finish "$log"; then rotated=$((rotated + 1)); else failed=$((failed + 1)); fi
  fi
done

if [ "$logs" -eq 0 ]; then
  echo "no logs in $dir yet: nothing to rotate"
else
  echo "rotated $rotated of $logs logs in $dir (larger than $max_kb kB; $keep generations kept)"
fi
[ "$failed" -eq 0 ] || fail "$failed of $logs logs could not be rotated"
