"""Which file system a path lies on, as far as the system tells."""

import os
import re
from pathlib import Path

NETWORK = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
)
"""File systems on which locks and shared memory are not those of one machine."""

_MOUNTINFO = Path("/proc/self/mountinfo")
_OCTAL = re.compile(r"\\([0-7]{3})")


def file_system(path: Path) -> str | None:
    """Return the type of the file system that ``path``, which need not exist yet, lies on; None if nobody tells."""
    try:
        lines = _MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None
    target = os.path.realpath(path)
    found, longest = None, -1
    for line in lines:
        before, _, after = line.partition(" - ")
        mount = _OCTAL.sub(lambda match: chr(int(match[1], 8)), before.split()[4])
        holds = target == mount or target.startswith(mount.rstrip("/") + "/")
        if holds and len(mount) >= longest:  # of two mounts on one folder the later one is seen
            found, longest = after.split()[0], len(mount)
    return found
