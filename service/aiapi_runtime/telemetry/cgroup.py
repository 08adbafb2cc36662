"""The limits of the pod's cgroup: CPU, memory, and how long the CPU limit throttled it.

A throttled pod looks like a busy one: its loops take longer for the same work. Only the kernel's
counter distinguishes the two. Both versions of cgroups are read; a missing number is 0.
"""

from dataclasses import dataclass
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
_NO_LIMIT = 2**60
"""Without a limit, version 1 has a number near the largest one."""


@dataclass(frozen=True)
class CgroupLimits:
    """Zero means no limit, or an unknown one."""

    cpu_throttled_seconds: float = 0.0
    cpu_limit_cores: float = 0.0
    memory_limit_bytes: int = 0


UNKNOWN = CgroupLimits()


def read(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> CgroupLimits:
    """The limits of this process's cgroup."""
    paths = _paths(membership)
    if (mount / "cgroup.controllers").exists():
        folder = _folder(mount, paths.get("", "/"), "cpu.stat")
        quota, _, period = _text(folder / "cpu.max").partition(" ")
        return CgroupLimits(
            cpu_throttled_seconds=_stat(folder, "throttled_usec") / 1e6,
            cpu_limit_cores=_cores(quota, period),
            memory_limit_bytes=_bytes(_text(folder / "memory.max")),
        )
    cpu = _folder(mount / "cpu", paths.get("cpu", "/"), "cpu.stat")
    memory = _folder(mount / "memory", paths.get("memory", "/"), "memory.limit_in_bytes")
    return CgroupLimits(
        cpu_throttled_seconds=_stat(cpu, "throttled_time") / 1e9,
        cpu_limit_cores=_cores(_text(cpu / "cpu.cfs_quota_us"), _text(cpu / "cpu.cfs_period_us")),
        memory_limit_bytes=_bytes(_text(memory / "memory.limit_in_bytes")),
    )


def _paths(membership: Path) -> dict[str, str]:
    """The cgroup by controller; version 2 has one for all of them, under the empty name."""
    found: dict[str, str] = {}
    for line in _text(membership).splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def _folder(mount: Path, path: str, file: str) -> Path:
    """The cgroup's own folder, or the mount itself, as which a container sees it."""
    own = mount / path.lstrip("/")
    return own if (own / file).exists() else mount


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _stat(folder: Path, key: str) -> int:
    for line in _text(folder / "cpu.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.isdigit():
            return int(value)
    return 0


def _cores(quota: str, period: str) -> float:
    if not quota.isdigit() or not period.isdigit() or int(period) == 0:
        return 0.0
    return int(quota) / int(period)


def _bytes(text: str) -> int:
    return int(text) if text.isdigit() and int(text) < _NO_LIMIT else 0
