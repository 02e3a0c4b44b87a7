# shellcheck shell=sh
# Sourced by every script of the nightly manifest: the one folder that they write to, and how they fail.
#
# NIGHTLY_DIR  the folder; made when it is missing
#
# Exit codes: 1 failed, a retry may help; 65 something kept is damaged; 78 configured wrongly. After 65
# and 78 a retry cannot help: the manifest lists them under fail_on_exit_codes.
set -eu
umask 077
CDPATH=

fail() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 1
}

damaged() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 65
}

refuse() {
  printf '%s: %s\n' "${0##*/}" "$*" >&2
  exit 78
}

# whole_number NAME VALUE
whole_number() {
  case $2 in
    '' | 0* | *[!0123456789]* | ??????????*) refuse "$1 must be a whole number from 1 to 999999999: $2" ;;
  esac
}

# Sets $stage to a fresh folder for half-finished files. What a killed script leaves there,
# clean-stale-files.sh removes.
make_stage() {
  stage=$(mktemp -d "$scratch/${0##*/}.XXXXXX") || fail "cannot make a folder in $scratch"
  trap 'rm -rf -- "$stage"' EXIT
}

nightly=${NIGHTLY_DIR:-../.queuectl/nightly}
mkdir -p -- "$nightly" || fail "cannot make the folder $nightly"
nightly=$(cd -- "$nightly" && pwd -P)

# A name that no other program uses: files in this folder are deleted when they are old.
scratch=$nightly/queuectl-tmp
[ ! -L "$scratch" ] || refuse "$scratch is a symbolic link"
mkdir -p -- "$scratch" || fail "cannot make the folder $scratch"
