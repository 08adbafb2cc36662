"""The folder of prometheus_client's files.

An own folder is emptied at the start: an emptyDir keeps it when the container restarts, and its
process IDs would then be those of other processes.
"""

import logging
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger("aiapi.metrics")

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_OLD_VARIABLE = "prometheus_multiproc_dir"
# The second is writable in most containers with a read-only root file system.
_PARENTS = ("/tmp", "/dev/shm")  # noqa: S108 - the folder is new and for this user only


@dataclass(frozen=True, slots=True)
class Folder:
    """`ours` is false where the user has named it: other processes may use it too."""

    path: Path
    ours: bool

    def remove(self) -> None:
        if self.ours:
            shutil.rmtree(self.path, ignore_errors=True)


def of_environment(environment: Mapping[str, str]) -> Path | None:
    """The folder that prometheus_client uses in a process with this environment."""
    named = environment.get(VARIABLE) or environment.get(_OLD_VARIABLE)
    return Path(named) if named else None


def prepare(environment: Mapping[str, str], name: str) -> Folder | None:
    """The user's folder, or a new one called `name`, which no other supervisor may use."""
    named = of_environment(environment)
    if named is not None:
        return _named(named)
    return _new(filter(None, (environment.get("TMPDIR"), *_PARENTS)), name)


def _named(path: Path) -> Folder | None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        logger.warning(
            "%s=%s cannot be created: %s; name a writable folder, or unset it",
            VARIABLE,
            path,
            error.strerror,
        )
        return None
    return Folder(path, ours=False)


def _new(parents: Iterable[str], name: str) -> Folder | None:
    reasons = []
    for parent in parents:
        path = Path(parent) / name
        shutil.rmtree(path, ignore_errors=True)
        try:
            path.mkdir(mode=0o700)
        except OSError as error:
            reasons.append(f"{path}: {error.strerror}")
            continue
        return Folder(path, ours=True)
    logger.warning(
        "the app's prometheus_client metrics are those of single workers, because no folder for "
        "them can be created (%s); set TMPDIR or %s to a writable folder",
        "; ".join(reasons),
        VARIABLE,
    )
    return None
