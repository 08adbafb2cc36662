"""What is measured of an operator with many AIApis. Each function returns goals with results."""

import math
import re
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from goal_rows import Row
from scale_bench.board import Board, Shape
from scale_bench.machine import pause
from scale_bench.processes import (
    Api,
    Operator,
    await_that,
    free_port,
    operator,
    percentile,
    python,
)

PER_POD = 50.0
"""Requests a second and pod: half of what one worker can serve."""
LAG = "aiapi_operator_tick_lag_seconds"
LEARNING = 90.0
"""Seconds after which requests follow what workers use, with some to spare."""
QUIET = 12.0
"""Seconds without a change of a size that show a settled state. AIApis learn one by one."""
IDLE = 90.0
"""Seconds until AIApis without load are idle and no window has a request of before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """A cluster: AIApis, pods of each at the start, and the most of each."""

    aiapis: int
    pods: int
    most: int

    def __str__(self) -> str:
        return f"{self.aiapis:,} x {self.pods:,}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The stand-ins of one cluster."""

    size: Size
    api: Api
    board: Board
    folder: Path

    def load(self, per_pod: float, aiapis: slice = slice(None)) -> None:
        """Set the load of AIApis, in requests a second for each pod they started with."""
        self.board.rate[aiapis] = per_pod * self.size.pods

    def seen(self) -> int:
        """Pods that were scraped since the last reset."""
        return int((self.board.scrapes > 0).sum())


@contextmanager
def cluster(size: Size, folder: Path, *, created: bool = True) -> Iterator[Cluster]:
    """A cluster without an operator."""
    file, port = folder / f"board-{free_port()}", free_port()
    shape = Shape(size.aiapis, size.most)
    board, api = Board(file, shape), Api(port)
    shared = (file, shape.aiapis, shape.block)
    with ExitStack() as stack:
        stack.callback(file.unlink)
        start = stack.enter_context
        start(python("-m", "scale_bench.api_server", *shared, port, log=folder / "api.log"))
        start(python("-m", "scale_bench.fake_pods", *shared, log=folder / "pods.log"))
        if await_that(api.is_up, 30) is None:
            raise RuntimeError(f"the stand-in API server did not start; see {folder / 'api.log'}")
        if created:
            api.do("create", first=0, count=size.aiapis, replicas=size.pods, most=size.most)
        yield Cluster(size=size, api=api, board=board, folder=folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What an operator used in a period."""

    seconds: float
    cores: float
    free: float
    lag: float
    ticks: float
    writes: float

    def __str__(self) -> str:
        rate = self.ticks / self.seconds
        return f"{self.cores:.2f} core, {rate:.0f} ticks/s, {self.free:.2f} cores free"


def observe(up: Operator, on: Cluster, seconds: float) -> Rest:
    """Use, lateness and writes over a period."""
    on.api.do("reset")
    cpu, lags, started = up.cpu(), up.histogram(LAG), time.monotonic()
    free = pause(seconds)
    passed, used, after = time.monotonic() - started, up.cpu() - cpu, up.histogram(LAG)
    changed = on.api.report()["changed"]
    writes = sum(count for what, count in changed.items() if "leases" not in what)
    return Rest(
        seconds=passed,
        cores=used / passed,
        free=free,
        lag=percentile(lags, after, 0.99),
        ticks=after[math.inf] - lags[math.inf],
        writes=writes,
    )


def learned(on: Cluster) -> None:
    """Wait until the operator knows what workers use: it then resizes each pod once."""
    time.sleep(LEARNING)
    settled(on, 120)


def settled(on: Cluster, seconds: float) -> None:
    """Wait until the operator has stopped changing sizes, or ``seconds`` passed."""

    def is_quiet() -> bool:
        on.api.do("reset")
        time.sleep(QUIET)
        changed = on.api.report()["changed"]
        return not any("scale" in what or "resize" in what for what in changed)

    await_that(is_quiet, seconds)


def start(on: Cluster, up: Operator, began: float) -> Iterator[Row]:
    """Start with everything present."""
    pods = int(on.board.replicas.sum())
    await_that(lambda: on.seen() >= pods, 120)
    took = time.monotonic() - began
    report = on.api.report()
    calls = {name: count for name, count in report["calls"].items() if "leases" not in name}
    changed = {name: n for name, n in report["changed"].items() if "leases" not in name}
    per_aiapi = sum(n for name, n in calls.items() if _is_of_one(name)) / on.size.aiapis
    not_status = {name: n for name, n in changed.items() if not name.startswith("status")}
    yield Row(
        name=f"{on.size}: start, all under control",
        goal="<= 30 s",
        value=f"{took:.1f} s, {on.seen():,} of {pods:,} pods ({up.cpu():.1f} s CPU)",
        holds=took <= 30 and on.seen() >= pods,
    )
    yield Row(
        name=f"{on.size}: start, API calls for each AIApi",
        goal="<= 3",
        value=f"{per_aiapi:.2f} ({calls})",
        holds=per_aiapi <= 3,
    )
    yield Row(
        name=f"{on.size}: start, writes that change anything",
        goal="0",
        value=f"{sum(not_status.values())}, and {changed.get('status aiapis', 0)} status updates",
        holds=not not_status,
    )


def _is_of_one(call: str) -> bool:
    return not call.startswith(("LIST", "WATCH"))


def steady(on: Cluster, rest: Rest) -> Iterator[Row]:
    """All AIApis under load."""
    writes = rest.writes / on.size.aiapis / (rest.seconds / 60)
    yield Row(
        name=f"{on.size}: CPU, all under load",
        goal="<= 0.6 core",
        value=str(rest),
        holds=rest.cores <= 0.6,
    )
    yield Row(
        name=f"{on.size}: p99 lateness of ticks",
        goal="<= 0.5 s",
        value=f"<= {rest.lag:g} s, {rest.free:.2f} cores free",
        holds=rest.lag <= 0.5,
    )
    yield Row(
        name=f"{on.size}: writes a minute and AIApi under steady load",
        goal="<= 1",
        value=f"{writes:.2f}",
        holds=writes <= 1,
    )


def mostly_idle(on: Cluster, up: Operator, seconds: float) -> Generator[Row, None, Rest]:
    """Nine in ten AIApis without a request; the others as before. Returns what that takes."""
    on.load(0.0)
    on.load(PER_POD, slice(None, None, 10))
    time.sleep(IDLE)
    rest = observe(up, on, seconds)
    yield Row(
        name=f"{on.size}, nine in ten idle: CPU",
        goal="<= 0.15 core",
        value=str(rest),
        holds=rest.cores <= 0.15,
    )
    return rest


def first_requests(on: Cluster) -> Iterator[Row]:
    """Load on a tenth of the AIApis that were idle: until the operator has scraped each of them."""
    chosen = range(1, on.size.aiapis, 10)
    began = time.monotonic()
    on.load(PER_POD, slice(1, None, 10))
    block = on.size.most

    def missing() -> int:
        slots = (on.board.scraped[each * block : (each + 1) * block] for each in chosen)
        return sum(scraped.max() <= began for scraped in slots)

    yield _awaited(
        f"{on.size}: first requests to {len(chosen)} idle ones at once, all scraped",
        missing,
        limit=2,
        why="a tick",
    )


def _awaited(name: str, missing: Callable[[], int], *, limit: float, why: str) -> Row:
    """A row on the seconds until none is missing."""
    took = await_that(lambda: missing() == 0, 30)
    return Row(
        name=name,
        goal=f"<= {limit:g} s ({why})",
        value=f"{missing()} missing after 30 s" if took is None else f"{took:.1f} s",
        holds=took is not None and took <= limit,
    )


def at_rest(on: Cluster, up: Operator, seconds: float) -> Iterator[Row]:
    """No AIApi has a request."""
    on.load(0.0)
    # Idle AIApis tick once a minute, and numbers in the status follow within another one.
    time.sleep(IDLE + 60)
    rest = observe(up, on, seconds)
    yield Row(
        name=f"{on.size}, all idle: writes",
        goal="0",
        value=f"{rest.writes:.0f}",
        holds=not rest.writes,
    )


def edits(on: Cluster, count: int) -> Iterator[Row]:
    """A user raises ``workers.min``: until a pod has them."""
    delays = []
    for number in range(3, on.size.aiapis, max(1, on.size.aiapis // count)):
        pods = Shape(on.size.aiapis, on.size.most).pods_of(number)
        asked = time.monotonic()
        on.api.do("edit", number=number, workers=3)
        slots = on.board.set_at[pods.start : pods.stop]
        found = await_that(
            lambda slots=slots, asked=asked: bool(slots.max() > asked), 30, every=0.02
        )
        delays.append(math.inf if found is None else found)
    yield Row(
        name=f"{on.size}: a user's edit takes effect",
        goal="<= 4 s (2 ticks)",
        value=f"{max(delays):.2f} s at most, {np.median(delays):.2f} s in the median",
        holds=max(delays) <= 4,
    )


def burst(on: Cluster, share: int) -> Iterator[Row]:
    """Three times the load on every ``share``-th AIApi at once."""
    chosen = range(0, on.size.aiapis, share)
    began = time.monotonic()
    on.load(3 * PER_POD, slice(None, None, share))

    def missing() -> int:
        block = on.size.most
        return sum(
            on.board.ordered[each] <= began
            and on.board.set_at[each * block : (each + 1) * block].max() <= began
            for each in chosen
        )

    yield _awaited(
        f"{on.size}: a burst on {len(chosen)} at once, all ordered",
        missing,
        limit=6,
        why="the window that shows it, and 2 ticks",
    )


def memory(base: int, on: Cluster, up: Operator) -> Iterator[Row]:
    """Memory beyond an operator without AIApis."""
    pods, used = int(on.board.replicas.sum()), up.memory()
    more = used - base
    budget = 60_000 * on.size.aiapis + 4_000 * pods
    yield Row(
        name="memory without AIApis",
        goal="<= 80 MB",
        value=f"{base / 1e6:.0f} MB",
        holds=base <= 80e6,
    )
    yield Row(
        name=f"{on.size}: memory beyond that",
        goal=f"<= {budget / 1e6:.0f} MB (60 kB an AIApi, 4 kB a pod)",
        value=f"{more / 1e6:.0f} MB with {pods:,} pods",
        holds=more <= budget,
    )


def churn(on: Cluster, up: Operator, count: int) -> Iterator[Row]:
    """Create and delete AIApis; then nothing of them may be left.

    Two rounds come before: series of each kind of API call, which stay, what is imported, and the
    garbage for which the collector is not worth running (process/garbage.py).
    """
    room, sockets = on.size.aiapis, up.sockets()
    for _ in range(2):
        _come_and_go(on, up, room)
    await_that(lambda: up.sockets() <= sockets + 4, 40)
    before = up.sockets(), _series(up), up.memory()
    for _ in range(0, count, room):
        _come_and_go(on, up, room)
    await_that(lambda: up.sockets() <= sockets + 4, 40)
    after = up.sockets(), _series(up), up.memory()
    yield Row(
        name=f"{count:,} AIApis created and deleted: sockets, series, memory",
        goal="as before (+4 sockets, +20 series, +10 MB)",
        value=f"{before[0]} -> {after[0]}, {before[1]} -> {after[1]},"
        f" {before[2] / 1e6:.0f} -> {after[2] / 1e6:.0f} MB",
        holds=after[0] <= before[0] + 4
        and after[1] <= before[1] + 20
        and after[2] <= before[2] + 10e6,
    )


def _come_and_go(on: Cluster, up: Operator, room: int) -> None:
    on.api.do("create", first=0, count=room, replicas=1, most=2)
    await_that(lambda: on.board.replicas[:room].min() >= 1, 30)
    on.api.do("delete", first=0, count=room)
    await_that(lambda: 'name="api-' not in up.metrics(), 30)


def _series(up: Operator) -> int:
    return sum(not line.startswith("#") for line in up.metrics().splitlines())


def overload(on: Cluster, up: Operator, seconds: float) -> Iterator[Row]:
    """The operator gets half of the CPU that it needs: other processes share its core."""
    ticks, report = _ticks(up), on.api.report()
    time.sleep(seconds)
    after, later = _ticks(up), on.api.report()
    counts = [after[name] - ticks.get(name, 0.0) for name in after]
    downs = later["changed"].get("PATCH scale deployments", 0)
    leaders = later["transitions"] - report["transitions"]
    yield Row(
        name=f"{on.size}, half the CPU: ticks of each AIApi in {seconds:.0f} s",
        goal="the slowest has at least half of the median's",
        value=f"{min(counts):.0f} to {max(counts):.0f}, median {np.median(counts):.0f}",
        holds=min(counts) >= 0.5 * np.median(counts) > 0,
    )
    yield Row(
        name=f"{on.size}, half the CPU: scale-downs and leader changes",
        goal="0 and 0",
        value=f"{downs} and {leaders}",
        holds=not downs and not leaders,
    )


_TICK = re.compile(
    r'^aiapi_operator_ticks_total\{name="([^"]+)",namespace="[^"]+",outcome="ok"\} (\S+)'
)


def _ticks(up: Operator) -> dict[str, float]:
    found = (_TICK.match(line) for line in up.metrics().splitlines())
    return {each[1]: float(each[2]) for each in found if each}


def page(up: Operator, on: Cluster) -> Iterator[Row]:
    """Size and time of /metrics."""
    began = time.monotonic()
    size = len(up.metrics())
    yield Row(
        name=f"{on.size}: /metrics",
        goal="answered within 2 s",
        value=f"{size / 1e6:.1f} MB in {1000 * (time.monotonic() - began):.0f} ms",
        holds=time.monotonic() - began <= 2,
    )


def run_operator(on: Cluster, *command: str):  # type: ignore[no-untyped-def] # a context manager
    """An operator on this cluster."""
    return operator(on.api, on.folder, *command)
