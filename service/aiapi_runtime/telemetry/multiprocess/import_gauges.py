"""Gauges that the app sets while it is imported, such as its version.

prometheus_client sets all values of a forked process to 0. So each worker starts with a copy of the
fork server's gauges, and the fork server's own are shown no longer: it serves no requests.
"""

import contextlib
import os
import shutil
from pathlib import Path

_SUFFIX = ".import"


def set_aside(folder: Path) -> None:
    """In the fork server, after the import of the app."""
    for old in folder.glob(f"gauge_*{_SUFFIX}"):
        # Of a fork server that has ended.
        old.unlink(missing_ok=True)
    for path in folder.glob(f"gauge_*_{os.getpid()}.db"):
        path.rename(path.with_name(path.name.rpartition("_")[0] + _SUFFIX))


def take_over(folder: Path) -> None:
    """In a new worker, before it changes a metric."""
    for path in folder.glob(f"gauge_*{_SUFFIX}"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(path, path.with_name(f"{path.stem}_{os.getpid()}.db"))
