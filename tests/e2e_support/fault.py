"""One AIApi under steady load, and what every fault must leave intact.

A scenario runs its fault inside ``with steady.fault():``. When the block ends, the fault is over.
Then three things must hold: no accepted request is lost; no scale-down that healthy metrics would
not have caused; and within 30 s the operator acts again and the AIApi has the right size: no fewer
workers than the load needs, and no more than before the fault but for what independent arrivals
change. Workers come in whole pods: where each has two, one worker more is one pod more.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from typing import Any, NamedTuple

from e2e_support.cluster import Cluster
from e2e_support.fault_load import SteadyLoad
from e2e_support.kubectl import eventually
from e2e_support.kubectl_proxy import ApiReader

RECOVERY = 30.0
NOISE = 1
"""Workers by which independent arrivals alone change the size."""
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

    def total_for(self, workers: int) -> int:
        """Workers in the fewest pods of this size that have at least ``workers``."""
        return self.workers * ceil(workers / self.workers)


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
    read: ApiReader
    needed: int
    """Workers that the load needs. A healthy fleet never has fewer."""
    planned: int
    """Workers that the operator plans for the load."""
    right: set[Size] = field(default_factory=set)
    outcome: Outcome | None = None

    def size(self) -> Size:
        """What runs: the Deployment's pods, and the workers that they have CPU for."""
        namespace = self.cluster.kubectl.namespace
        deployment = self.read(f"/apis/apps/v1/namespaces/{namespace}/deployments/{self.name}")
        workers = max(map(_workers, self.pods()), default=0)
        return Size(workers, deployment["spec"]["replicas"])

    def pods(self) -> list[dict[str, Any]]:
        """The pods that are not terminating."""
        namespace = self.cluster.kubectl.namespace
        found = self.read(
            f"/api/v1/namespaces/{namespace}/pods?labelSelector=aiapi.dev%2Fname%3D{self.name}"
        )
        return [pod for pod in found["items"] if "deletionTimestamp" not in pod["metadata"]]

    def aiapi(self) -> dict[str, Any]:
        namespace = self.cluster.kubectl.namespace
        return self.read(f"/apis/aiapi.dev/v1alpha1/namespaces/{namespace}/aiapis/{self.name}")

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.aiapi().get("status", {})
        return found

    def wait_condition(self, kind: str, *, within: float = 60) -> None:
        """Wait until a condition is true."""
        eventually(
            lambda: kind in {c["type"] for c in self._conditions() if c["status"] == "True"},
            within=within,
            what=kind,
            state=self.status,
        )

    def _conditions(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.status().get("conditions", [])
        return found

    def settle(self, *, within: float = 90) -> None:
        """Wait until the size under this load is known, and is what runs."""
        if self.right:
            eventually(
                lambda: self._fits(0),
                within=within,
                what=f"{self.needed} to {self.largest()} workers",
                state=self.size,
            )
            return
        since, last = time.monotonic(), self.size()

        def is_settled() -> bool:
            nonlocal since, last
            if (seen := self.size()) != last:
                since, last = time.monotonic(), seen
            return last.total >= self.needed and time.monotonic() - since > SETTLED

        eventually(
            is_settled, within=within, every=0.5, what="the size settles", state=lambda: last
        )
        self.right |= {last}

    @contextmanager
    def fault(self, *, lost: int | None = 0, grows: int = 0) -> Iterator[None]:
        """Run the block, and assert what every fault must leave intact.

        ``lost`` is how many requests the fault itself may lose, None where the app fails them.
        ``grows`` is by how many workers healthy metrics may raise the fleet.
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
        generation = self.aiapi()["metadata"]["generation"]

        def is_back() -> bool:
            return self.status().get("observedGeneration") == generation and self._fits(grows)

        eventually(
            is_back,
            within=RECOVERY - (time.monotonic() - ended),
            what=f"{self.needed} to {self.largest(grows)} workers, and the edit seen",
            state=lambda: (self.size(), self.status()),
        )

    def largest(self, grows: int = 0) -> int:
        """The most workers of a right size, by noise too: no pod more where one has room for it."""
        by_noise = self.planned + NOISE
        return max(max(size.total, size.total_for(by_noise)) for size in self.right) + grows

    def _fits(self, grows: int) -> bool:
        return self.needed <= self.size().total <= self.largest(grows)

    def _check(self, outcome: Outcome, lost: int | None) -> None:
        assert outcome.requests > 0, "there was no load"
        is_within = lost is None or outcome.lost <= lost
        assert is_within, f"{outcome.lost} requests lost: {self.load.failures()}"
        low = [size for size in outcome.sizes if size.total < self.needed]
        assert not low, f"scaled down to {low[0]}; the load needs {self.needed} workers"


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
