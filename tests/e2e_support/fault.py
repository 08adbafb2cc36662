"""One AIApi under steady load, and what every fault must leave intact.

A scenario runs its fault inside ``with steady.fault():``. When the block ends, the fault is over.
Then three things must hold: no accepted request is lost; no scale-down that healthy metrics would
not have caused; and within 30 s the operator acts again and the AIApi has the right size. The right
size is one that it had under the same load before the fault.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from e2e_support.cluster import Cluster
from e2e_support.fault_load import SteadyLoad
from e2e_support.kubectl import eventually

RECOVERY = 30.0
SETTLED = 8.0
"""Seconds without a change after which a size is the right one."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of docs/failure-modes.md."""

    fault: str
    user: str
    """What the user sees."""
    operator: str
    """What the operator does."""
    is_short: bool = False
    """In the gate, not only in ``make test-faults``."""


class Size(NamedTuple):
    """Workers in each pod, and pods."""

    workers: int
    replicas: int

    @property
    def total(self) -> int:
        return self.workers * self.replicas


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a scenario measured."""

    requests: int
    lost: int
    recovery_seconds: float
    sizes: list[Size]


@dataclass(kw_only=True)
class Steady:
    cluster: Cluster
    name: str
    load: SteadyLoad
    right: set[Size] = field(default_factory=set)
    outcome: Outcome | None = None

    def size(self) -> Size:
        """What runs: the Deployment's pods, and the workers that they have CPU for."""
        found = self.cluster.kubectl.json("deployments,pods", "-l", f"aiapi.dev/name={self.name}")
        replicas, workers = 0, 0
        for item in found["items"]:
            if item["kind"] == "Deployment":
                replicas = item["spec"]["replicas"]
            elif "deletionTimestamp" not in item["metadata"]:
                workers = max(workers, _workers(item))
        return Size(workers, replicas)

    def settle(self, *, within: float = 90) -> None:
        """Wait until the size under this load is known."""
        since, last = time.monotonic(), self.size()

        def is_settled() -> bool:
            nonlocal since, last
            if (seen := self.size()) != last:
                since, last = time.monotonic(), seen
            return last.total > 2 and time.monotonic() - since > SETTLED

        eventually(
            is_settled, within=within, every=0.5, what="the size settles", state=lambda: last
        )
        self.right |= {last}

    @contextmanager
    def fault(self, *, lost: int = 0, grows: int = 0) -> Iterator[None]:
        """Run the block, and assert what every fault must leave intact.

        ``lost`` is how many requests the fault itself may lose, ``grows`` by how many workers the
        healthy metrics during the fault may raise the fleet.
        """
        self.settle()
        before = self.load.counts()
        with _watching(self.size) as sizes:
            yield
            ended = time.monotonic()
            self._recover(ended, grows)
            seconds = time.monotonic() - ended
        after = self.load.counts_after_one_second()
        self.outcome = Outcome(
            requests=after.requests - before.requests,
            lost=after.failed - before.failed,
            recovery_seconds=seconds,
            sizes=sizes,
        )
        self._check(self.outcome, lost)

    def _recover(self, ended: float, grows: int) -> None:
        """Edit the AIApi, and wait until the operator has seen it and the size is right."""
        limit = 100 + int(time.time()) % 800
        edit = {"spec": {"scaling": {"scaleUp": {"maxReplicasPerMinute": limit}}}}
        self.cluster.kubectl(
            "patch", "aiapi", self.name, "--type=merge", "-p", json.dumps(edit)
        )  # fmt: skip
        generation = self.cluster.aiapi(self.name)["metadata"]["generation"]
        largest = max(size.total for size in self.right) + grows

        def is_back() -> bool:
            status = self.cluster.status(self.name)
            seen = status.get("observedGeneration") == generation
            size = self.size()
            fits = size in self.right or min(self.right).total < size.total <= largest
            return seen and fits

        eventually(
            is_back,
            within=RECOVERY - (time.monotonic() - ended),
            what=f"back to one of {sorted(self.right)}",
            state=lambda: (self.size(), self.cluster.status(self.name)),
        )

    def _check(self, outcome: Outcome, lost: int) -> None:
        assert outcome.requests > 0, "there was no load"
        assert outcome.lost <= lost, f"{outcome.lost} requests lost: {self.load.failures()}"
        least = min(size.total for size in self.right)
        low = [size for size in outcome.sizes if size.total < least]
        assert not low, f"scaled down to {low[0]} from {sorted(self.right)}"


def _workers(pod: dict[str, Any]) -> int:
    app = next(each for each in pod["spec"]["containers"] if each["name"] == "app")
    return int(app["resources"]["requests"]["cpu"].removesuffix("m")) // 100


@contextmanager
def _watching(size: Callable[[], Size]) -> Iterator[list[Size]]:
    """The sizes during the block, in order and without repetition."""
    seen: list[Size] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(1.0):
            try:
                now = size()
            except (AssertionError, OSError):
                continue
            if now.total and (not seen or seen[-1] != now):
                seen.append(now)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join(timeout=30)


def hold(seconds: float) -> None:
    """Let a fault last."""
    threading.Event().wait(seconds)
