"""What the stand-ins and the benchmark share: one memory-mapped table with a row per AIApi and pod.

The benchmark sets the loads, the API server the pods, and the pods count scrapes and worker
changes. Each number has one writer, so no lock is needed.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

_PODS = 16_384


@dataclass(frozen=True, slots=True)
class Shape:
    """``aiapis`` AIApis, each with room for ``block`` pods. Pods have numbers across AIApis."""

    aiapis: int
    block: int

    def pods_of(self, aiapi: int) -> range:
        """The numbers of the pods that an AIApi may have."""
        return range(aiapi * self.block, (aiapi + 1) * self.block)


class Board:
    """The table. Arrays are views of the file, so every process sees a write at once."""

    def __init__(self, path: Path, shape: Shape) -> None:
        pods = max(_PODS, shape.aiapis * shape.block)
        size = 8 * (3 * shape.aiapis + 4 * pods)
        if not path.exists():
            path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            data = mmap.mmap(file.fileno(), size)
        arrays = _slices(np.frombuffer(data, dtype=np.float64), shape.aiapis, pods)
        self.rate = next(arrays)
        """Requests a second, by AIApi. Written by the benchmark."""
        self.replicas = next(arrays)
        """Running pods, by AIApi. Written by the API server."""
        self.ordered = next(arrays)
        """When more was last ordered, by AIApi, in monotonic seconds: more pods or larger ones."""
        self.scrapes = next(arrays)
        """Scrapes, by pod. This and the following are written by the pods."""
        self.scraped = next(arrays)
        """Time of the last scrape, by pod."""
        self.workers = next(arrays)
        """Workers, by pod; 0 means one, and nobody has set them."""
        self.set_at = next(arrays)
        """When the workers were last set to another number, by pod."""


def _slices(
    data: "np.ndarray[tuple[int], np.dtype[np.float64]]", aiapis: int, pods: int
) -> Iterator["np.ndarray[tuple[int], np.dtype[np.float64]]"]:
    start = 0
    for length in (aiapis, aiapis, aiapis, pods, pods, pods, pods):
        yield data[start : start + length]
        start += length


def address(pod: int) -> str:
    """The loopback address of a pod: one listener on all addresses answers for all pods."""
    return f"127.{16 + pod // 62_500}.{pod // 250 % 250}.{pod % 250 + 1}"


def pod_at(host: str) -> int:
    """The number of the pod with an address."""
    _, high, middle, low = (int(part) for part in host.split("."))
    return (high - 16) * 62_500 + middle * 250 + low - 1
