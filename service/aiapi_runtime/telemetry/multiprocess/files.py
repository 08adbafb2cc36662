"""The files of all processes, and how those of ended processes become few.

Counters, histograms and summaries of ended processes stay: their values are added to the file of
process 0, which does not exist. So are gauges of the modes `sum`, `min`, `max` and `mostrecent`.
The other gauges end with their process, including those of the mode `all`, which would otherwise
add a series per worker that ever ran.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from struct import error as FormatError  # noqa: N812 - it is a class

from aiapi_runtime.telemetry.multiprocess.client import Client, Value

logger = logging.getLogger("aiapi.metrics")

UNREADABLE = (OSError, FormatError, RuntimeError, ValueError)
"""What prometheus_client raises for a damaged file."""

ENDED = 0
"""The process ID of the files that hold what ended processes have counted."""

_NAME = re.compile(r"(counter|histogram|summary|gauge_[a-z]+)_(\d+)\.db", re.ASCII)
_FOLDED_GAUGES = ("gauge_sum", "gauge_min", "gauge_max", "gauge_mostrecent")


@dataclass(frozen=True, slots=True)
class ProcessFile:
    """One kind of metric of one process."""

    path: Path
    kind: str
    pid: int

    @property
    def ends_with_its_process(self) -> bool:
        return self.kind.startswith("gauge_") and self.kind not in _FOLDED_GAUGES


def find(folder: Path) -> list[ProcessFile]:
    """Files that have content: one is empty for a moment while it is created."""
    matches = ((path, _NAME.fullmatch(path.name)) for path in sorted(folder.glob("*.db")))
    return [
        ProcessFile(path, match[1], int(match[2]))
        for path, match in matches
        if match and path.stat().st_size
    ]


def fold(client: Client, files: Iterable[ProcessFile], ended: AbstractSet[int]) -> None:
    """Add the files of ended processes to those of process 0, and remove them."""
    by_kind: dict[str, list[ProcessFile]] = defaultdict(list)
    for file in files:
        if file.pid in ended:
            by_kind[file.kind].append(file)
    for kind, group in by_kind.items():
        if not group[0].ends_with_its_process:
            _add_up(client, kind, [file.path for file in group])
        for file in group:
            file.path.unlink(missing_ok=True)


def _add_up(client: Client, kind: str, paths: list[Path]) -> None:
    target = paths[0].with_name(f"{kind}_{ENDED}.db")
    add = _ADD.get(kind, _sum)
    total = _readable(client, target) if target.exists() else {}
    for path in paths:
        for key, value in _readable(client, path).items():
            total[key] = add(total[key], value) if key in total else value
    new = target.with_suffix(".new")
    new.unlink(missing_ok=True)
    client.write(new, total)
    new.replace(target)


def _readable(client: Client, path: Path) -> dict[str, Value]:
    try:
        return client.read(path)
    except UNREADABLE as error:
        # Kept, it would fail each time.
        logger.warning("what an ended process has counted is lost: %s: %s", path, error)
        return {}


def _sum(one: Value, other: Value) -> Value:
    return Value(one.number + other.number, 0.0)


def _latest(one: Value, other: Value) -> Value:
    return max(one, other, key=lambda value: value.time)


_ADD: dict[str, Callable[[Value, Value], Value]] = {
    "gauge_min": min,
    "gauge_max": max,
    "gauge_mostrecent": _latest,
}
