# The jobs of a soak: `sh job.sh KIND SECONDS`.
#
# Each says when it starts and when it ends, one line and one write at a time, in a file that queuectl knows
# nothing of. And each locks a file of its run, which its children inherit: whoever cannot get that lock has met
# an earlier execution alive.

note() {
  now=$(date +%s%N) || exit 70  # somebody is ending us: no line is better than half of one
  echo "$1 $QUEUECTL_RUN_ID ${QUEUECTL_EXECUTION##*:} $QUEUECTL_ATTEMPT $$ $now ${2-}" >>"$SOAK_FOLDER/witness"
}

ends() {
  note end "$1"
  exit "$1"
}

exec 9>>"$SOAK_FOLDER/alive/$QUEUECTL_RUN_ID"
flock -n 9 || note overlap
note start

case $1 in
  quick) ;;
  output)
    head -c 200000 /dev/zero | tr '\0' x
    echo done >&2
    ;;
  sleep | once) sleep "$2" ;;
  flaky) [ "$QUEUECTL_ATTEMPT" -gt 1 ] || ends 3 ;;
  fail) ends 7 ;;
  child)
    sleep 60 &
    ;;
  daemon)
    (setsid sh -c 'sleep 60 & exec sleep 60' &)
    ;;
  closer) # a child that closes its descriptors, as Python's do, but for the lock of this test
    "$SOAK_PYTHON" -c 'import subprocess; subprocess.Popen(["sleep", "60"], pass_fds=[9])' 2>&-
    sleep "$2"
    ;;
  stubborn)
    trap '' TERM
    sleep "$2"
    trap - TERM
    ;;
esac
ends 0
