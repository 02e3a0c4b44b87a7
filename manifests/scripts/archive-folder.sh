#!/bin/sh
# Archives a folder as NAME-TIME.tar.gz beside a checksum manifest, NAME-TIME.tar.gz.sha256; keeps the
# newest archives and verifies every one that is kept, so that a rotting disk is noticed.
#
# ARCHIVE_SOURCE  the folder
# ARCHIVE_KEEP    how many archives of it are kept
#
# The archives are in NIGHTLY_DIR/archives/NAME, the folder's own name: two folders of one name need two
# NIGHTLY_DIRs, or they count as one.
#
# To verify by hand: cd to the folder of the archives, then `sha256sum -c *.sha256`
# (on macOS `shasum -a 256 -c *.sha256`).

# shellcheck source=manifests/scripts/nightly.sh
. "$(dirname -- "$0")/nightly.sh"

keep=${ARCHIVE_KEEP:-7}
whole_number ARCHIVE_KEEP "$keep"
folder=${ARCHIVE_SOURCE:-../docs}
source=$(cd -- "$folder" && pwd -P) || refuse "ARCHIVE_SOURCE is not a folder that can be entered: $folder"
case $nightly/ in
  "${source%/}"/*) refuse "the archives would contain themselves: $nightly is inside $source" ;;
esac

if command -v sha256sum >/dev/null; then
  sha256() { sha256sum "$@"; }
elif command -v shasum >/dev/null; then
  sha256() { shasum -a 256 "$@"; }
else
  refuse "neither sha256sum nor shasum is on PATH"
fi

name=$(printf %s "${source##*/}" | LC_ALL=C tr -c 'A-Za-z0-9._-' _)
name=${name:-root}
archives=$nightly/archives/$name
mkdir -p -- "$archives"
make_stage
archive=$name-$(date -u +%Y%m%dT%H%M%SZ).tar.gz

# COPYFILE_DISABLE keeps macOS from adding a ._ file for every file. The archive is named without its
# folder, in which GNU tar would take a colon for the end of a remote host's name.
cd -- "$stage"
COPYFILE_DISABLE=1 tar -czf "$archive" -C "$source" . || fail "tar could not archive $source"
tar -tzf "$archive" >/dev/null || fail "the archive just written cannot be read back"
sha256 -- "$archive" >"$archive.sha256" || fail "cannot compute the checksum"
bytes=$(wc -c <"$archive")

# The manifest first: an archive that has its name has its checksum too.
mv -f -- "$archive.sha256" "$archive" "$archives/"
cd -- "$archives"

set -- "$name"-????????T??????Z.tar.gz
while [ "$#" -gt "$keep" ]; do
  rm -f -- "$1" "$1.sha256"
  shift
done

bad=
for kept in "$@"; do
  sha256 -c -- "$kept.sha256" >/dev/null 2>&1 || bad="$bad $kept"
done

echo "archived $source: $archives/$archive ($((bytes)) bytes)"
[ -z "$bad" ] || damaged "not as the checksum manifest says, in $archives:$bad"
echo "$# of at most $keep archives kept, all verified"
