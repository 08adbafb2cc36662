"""The memory of containers, and the kill of one that exceeds its limit.

A container's memory is what its processes hold alone: resident pages that no file backs. Pages of
shared libraries, which a cgroup counts once, are left out. As in a cgroup with `memory.oom.group`,
all processes of the container are killed.
"""

import asyncio
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

POLL_SECONDS = 0.5
_PROC = Path("/proc")
_PAGE = os.sysconf("SC_PAGE_SIZE")


class LimitedContainer(Protocol):
    """A container that may have a memory limit."""

    @property
    def memory_limit(self) -> int | None: ...
    @property
    def root_pid(self) -> int | None:
        """The parent of its processes; None while it does not run."""

    async def oom_kill(self) -> None: ...


class MemoryWatcher:
    """Kills containers that exceed their limit. The kubelet runs `run` in a task."""

    def __init__(self, containers: Callable[[], Iterable[LimitedContainer]]) -> None:
        self._containers = containers

    async def run(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            for container in _exceeding(self._containers()):
                await container.oom_kill()


def _exceeding(containers: Iterable[LimitedContainer]) -> list[LimitedContainer]:
    limited = [(c, c.root_pid, c.memory_limit) for c in containers]
    running = [(c, pid, limit) for c, pid, limit in limited if pid is not None and limit]
    children = _children() if running else {}
    return [c for c, pid, limit in running if memory_below(pid, children) > limit]


def memory_below(root: int, children: Mapping[int, Iterable[int]]) -> int:
    """Bytes that the descendants of a process hold."""
    return sum(
        _own_memory(child) + memory_below(child, children) for child in children.get(root, ())
    )


def _own_memory(pid: int) -> int:
    with suppress(OSError, IndexError, ValueError):
        fields = (_PROC / str(pid) / "statm").read_text().split()
        return (int(fields[1]) - int(fields[2])) * _PAGE
    return 0


def _children() -> dict[int, list[int]]:
    """The processes of the machine, by parent."""
    found: dict[int, list[int]] = {}
    for pid, parent in _parents():
        found.setdefault(parent, []).append(pid)
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for name in os.listdir(_PROC):  # noqa: PTH208 - pathlib is slower than the scan itself
        if name.isdigit():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                yield int(name), int(file.read().rpartition(b")")[2].split()[1])
