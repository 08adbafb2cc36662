"""A lock on the folder: no process reads the files while the supervisor folds some of them.

Without it a reader could count an ended worker twice, or not at all, and Prometheus would see a
counter that was reset.
"""

import contextlib
import fcntl
import os
from collections.abc import Generator
from pathlib import Path

_NAME = ".lock"


@contextlib.contextmanager
def reading(folder: Path) -> Generator[None]:
    """Wait until nothing is being folded, which takes milliseconds."""
    with _opened(folder) as fd:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield


@contextlib.contextmanager
def folding(folder: Path) -> Generator[bool]:
    """Whether files may be folded now. It never waits: a reader may be stopped for long."""
    with _opened(folder) as fd:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


@contextlib.contextmanager
def _opened(folder: Path) -> Generator[int]:
    fd = os.open(folder / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)
