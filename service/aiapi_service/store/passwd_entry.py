"""The passwd entry that Postgres requires of the user who creates its files.

Pods often run as a user without one: Kubernetes sets any UID, and OpenShift assigns its own. The
library nss_wrapper (Debian: ``libnss-wrapper``) provides an entry to one process. CRI-O adds an
entry to each container.
"""

import pwd
from collections.abc import Iterator
from pathlib import Path

_LIBRARY = "libnss_wrapper.so"
_FOLDERS = (Path("/usr/lib"), Path("/usr/lib64"))


def exists(uid: int) -> bool:
    """Whether the user has an entry."""
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def wrapper() -> Path | None:
    """The library nss_wrapper, if it is installed."""
    return next(_libraries(), None)


def _libraries() -> Iterator[Path]:
    for folder in _FOLDERS:
        yield from folder.glob(_LIBRARY)
        yield from folder.glob(f"*/{_LIBRARY}")


def environment(folder: Path, uid: int, gid: int) -> dict[str, str]:
    """Variables that give a program an entry for this user, in files in ``folder``."""
    library = wrapper()
    if library is None or exists(uid):
        return {}
    users, groups = folder / "passwd", folder / "group"
    users.write_text(f"aiapi:x:{uid}:{gid}::/:/usr/sbin/nologin\n", encoding="ascii")
    groups.write_text(f"aiapi:x:{gid}:\n", encoding="ascii")
    return {
        "LD_PRELOAD": str(library),
        "NSS_WRAPPER_PASSWD": str(users),
        "NSS_WRAPPER_GROUP": str(groups),
    }
