"""A small, deterministic model of a fleet for tests: fluid requests, exact counters.

Each pod's workers drain a backlog of loop time. A request costs ``service`` seconds of loop time,
then waits ``upstream`` seconds, in one of ``threads`` of its worker if that is not 0. A response
then streams for ``stream`` seconds from its first byte, waiting for the upstream. Latencies are
spread around that by fixed factors, so that percentiles are known in closed form: p95 is about
1.5 x upstream at an idle loop.
"""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from random import Random

from msgspec import structs

from aiapi_operator.sizing.decide import checkpoint, decide, restored
from aiapi_operator.sizing.decision import Decision
from aiapi_operator.sizing.inputs import (
    Bounds,
    Fleet,
    Histogram,
    LatencyObjective,
    Mode,
    PodSample,
    PodUnknown,
    Pricing,
    Refusal,
    RefusedResize,
    SizingSpec,
    ThreadPool,
)
from aiapi_operator.sizing.state import State

BOUNDS = tuple(0.001 * 1.1**step for step in range(117))
SPREAD = ((0.6, 0.3), (0.9, 0.3), (1.1, 0.2), (1.3, 0.12), (1.5, 0.06), (2.0, 0.02))
STEP = 0.1
IDLE = 0.002


def spec(**changes: object) -> SizingSpec:
    """The defaults of an empty AIApi, with the given changes."""
    usual = SizingSpec(
        objective=LatencyObjective(percentile=95, threshold=0.8),
        workers=Bounds(min=1, max=8),
        replicas=Bounds(min=2, max=20),
        worker_cpu=0.5,
        worker_memory=256 * 2**20,
        max_concurrency=0,
        mode=Mode.AUTO,
        interval=2.0,
        workers_down_after=30.0,
        replicas_down_after=300.0,
        max_replicas_per_minute=10,
        price=Pricing(
            cpu_hour=0.031611,
            memory_gib_hour=0.003511,
            currency="USD",
            baseline_replicas=0,
            baseline_workers=0,
        ),
    )
    return replace(usual, **changes)


@dataclass
class Pod:
    """One pod: workers that start after a delay, a backlog, and monotonic counters."""

    name: str
    born: float
    wanted: int = 1
    serving: int = 1
    more_at: float = 0.0
    ready: bool = False
    generation: int = 0
    backlog: float = 0.0
    waiting: deque[tuple[float, float, float]] = field(default_factory=deque)
    queue: float = 0.0
    """Calls waiting for a thread."""
    busy_seconds: float = 0.0
    queue_seconds: float = 0.0
    upstream_now: float = 0.0
    completed: float = 0.0
    failed: float = 0.0
    shed: float = 0.0
    in_flight_seconds: float = 0.0
    loop_seconds: float = 0.0
    cpu_seconds: float = 0.0
    waited_seconds: float = 0.0
    worker_seconds: float = 0.0
    upstream_seconds: float = 0.0
    counts: list[float] = field(default_factory=lambda: [0.0] * (len(BOUNDS) + 1))
    first_counts: list[float] = field(default_factory=lambda: [0.0] * (len(BOUNDS) + 1))
    streaming: deque[tuple[float, float, float]] = field(default_factory=deque)

    def order(self, workers: int, now: float) -> None:
        """PUT /workers: fewer apply immediately, more after a second."""
        self.wanted = workers
        if workers < self.serving:
            self.serving = workers
        elif workers > self.serving:
            self.more_at = now + 1.0

    def step(
        self,
        now: float,
        arrivals: float,
        *,
        service: float,
        upstream: float,
        outage: bool = False,
        threads: int = 0,
        stream: float = 0.0,
        waiting_share: float | None = 0.0,
    ) -> None:
        """``STEP`` seconds with ``arrivals`` requests; in an outage they fail after their wait."""
        if now >= self.more_at:
            self.serving = self.wanted
        self.backlog += arrivals * service
        wait = self.backlog / self.serving
        worked = min(self.backlog, self.serving * STEP)
        self.backlog -= worked
        rho = min(0.95, worked / (self.serving * STEP))
        self.queue += worked / service
        free = max(0.0, threads * self.serving - self.upstream_now)
        requests = min(self.queue, free) if threads else self.queue
        queued = STEP * (self.queue / requests - 1) if requests > 0 else 0.0
        self.queue -= requests
        delay = service * rho / (1 - rho) + max(0.0, wait - STEP) + queued
        # Half a step less, so that rounding does not keep a thread for another step.
        done_at = now + upstream - (STEP / 2 if threads else 0.0)
        self.waiting.append((done_at, requests, delay))
        self.upstream_now += requests
        while self.waiting and self.waiting[0][0] <= now:
            _, done, delay = self.waiting.popleft()
            if outage:
                self.upstream_now -= done
                self.failed += done
                continue
            self._observe(self.first_counts, done, upstream, service + delay)
            self.streaming.append((now + stream, done, delay))
        while self.streaming and self.streaming[0][0] <= now:
            _, done, delay = self.streaming.popleft()
            self.upstream_now -= done
            self.completed += done
            self._observe(self.counts, done, upstream, service + delay + stream)
        self._count_loop(worked + IDLE * self.serving * STEP, waiting_share)
        self.worker_seconds += self.serving * STEP
        self.upstream_seconds += self.upstream_now * STEP
        self.busy_seconds += self.upstream_now * STEP
        self.queue_seconds += self.queue * STEP
        self.in_flight_seconds += self.in_flight(service) * STEP

    def _count_loop(self, work: float, waiting_share: float | None) -> None:
        """Of a worker's time ``waiting_share`` is a wait for a CPU, which loop time includes."""
        free = max(0.0, self.serving * STEP - work)
        wait = min((waiting_share or 0.0) * self.serving * STEP, free)
        self.loop_seconds += work + wait
        self.cpu_seconds += work
        if waiting_share is not None:
            self.waited_seconds += wait

    def in_flight(self, service: float) -> float:
        """Requests in the loop's backlog, or waiting for a thread or the upstream."""
        return self.backlog / service + self.queue + max(0.0, self.upstream_now)

    @staticmethod
    def _observe(counts: list[float], requests: float, upstream: float, loop: float) -> None:
        for factor, share in SPREAD:
            latency = upstream * factor + loop
            counts[bisect_left(BOUNDS, latency)] += requests * share

    def pool(self, threads: int) -> ThreadPool:
        """What it says of its threads."""
        return ThreadPool(
            name="anyio",
            limit=threads,
            busy_seconds=self.busy_seconds,
            waiting_seconds=self.queue_seconds,
        )

    def sample(
        self,
        now: float,
        service: float,
        *,
        threads: int = 0,
        limit: int = 0,
        memory: int = 0,
        tracked: bool = True,
        waits: bool = True,
    ) -> PodSample:
        """A scrape of this pod; calls that are not ``tracked`` are not reported."""
        return PodSample(
            pod=self.name,
            time=now,
            instance=f"{self.name}-{self.generation}",
            ready=self.ready,
            workers_wanted=self.wanted,
            workers_ready=self.serving,
            workers_draining=0,
            workers_blocked=0,
            blocked_at="",
            failure="",
            succeeded=int(self.completed),
            client_errors=0,
            server_errors=int(self.failed),
            cancelled=0,
            shed=int(self.shed),
            in_flight_seconds=self.in_flight_seconds,
            loop_seconds=self.loop_seconds,
            worker_seconds=self.worker_seconds,
            cpu_seconds=self.cpu_seconds,
            loop_cpu_seconds=self.cpu_seconds,
            run_queue_seconds=self.waited_seconds if waits else None,
            upstream_seconds=self.upstream_seconds if tracked else 0.0,
            latency=_histogram(self.counts),
            in_flight=int(self.in_flight(service)),
            open_connections=0,
            accept_queue_depth=0,
            rss_bytes=int((100 * self.serving + self.in_flight(service) / 10) * 2**20),
            memory_limit_bytes=memory,
            worker_limit=limit,
            threads=(self.pool(threads),) if threads else None,
            first_byte=_histogram(self.first_counts),
        )


def _histogram(counts: list[float]) -> Histogram:
    return Histogram(bounds=BOUNDS, counts=tuple(map(int, counts)), sum=0.0)


class FleetModel:
    """A fleet under load, with its right-sizer."""

    def __init__(self, user_spec: SizingSpec, *, replicas: int = 2, workers: int = 1) -> None:
        self.spec = user_spec
        self.now = 0.0
        self.state = State()
        self.replicas = replicas
        self.rate = 20.0
        self.service = 0.02
        self.upstream = 0.3
        self.stream = 0.0
        """Seconds from the first byte of a response to its end."""
        self.pod_start = 8.0
        self.threads = 0
        """Threads of a worker; 0 where requests await the upstream without one."""
        self.limit = 0
        """The reported concurrent requests per worker."""
        self.memory_limit = 0
        """Bytes of a pod; a request in flight takes 0.1 MiB."""
        self.tracked = True
        """Whether calls to the upstream are measured."""
        self.waiting_share: float | None = 0.0
        """Share of their time that workers wait for a CPU; None if pods do not report it."""
        self.outage = False
        self.retries = 0
        """Times that clients try again what failed, 2 s later each time."""
        self._again: deque[tuple[float, tuple[float, ...]]] = deque()
        self.grants: Callable[[int], int | None] = lambda _: None
        """The workers that the node of the pod with this number grants; None for any number."""
        self._refused: dict[str, int] = {}
        self.silent: set[str] = set()
        self.noise: Random | None = None
        self.acting = True
        self.decisions: list[tuple[float, Decision]] = []
        self.pods = [
            Pod(f"pod-{i}", born=-100.0, wanted=workers, serving=workers, ready=True)
            for i in range(replicas)
        ]
        self._born = replicas

    def copy(self) -> "FleetModel":
        """The same fleet at the same time, to go on differently. Its history starts here."""
        twin = copy(self)
        twin.pods = deepcopy(self.pods)
        twin.silent = set(self.silent)
        twin._again = deque(self._again)
        twin.decisions = self.decisions[-1:]
        return twin

    @property
    def last(self) -> Decision:
        """The newest decision."""
        return self.decisions[-1][1]

    @property
    def size(self) -> tuple[int, int]:
        """(workers, replicas) wanted now."""
        return self.last.workers, self.last.replicas

    def run(self, seconds: float) -> list[tuple[float, Decision]]:
        """Serve for ``seconds`` with a decision every interval; returns the decisions."""
        first = len(self.decisions)
        end = self.now + seconds
        while self.now < end - 1e-9:
            self.serve(self.spec.interval)
            self.decide()
        return self.decisions[first:]

    def decide(self) -> Decision:
        """One tick of the right-sizer, carried out."""
        decision = decide(self.spec, self.fleet(), self.state, self.now)
        self.state = decision.state
        self.decisions.append((self.now, decision))
        if self.acting:
            self._act(decision)
        return decision

    def fleet(self) -> Fleet:
        """What the operator sees."""
        return Fleet(
            replicas=self.replicas,
            pods=tuple(
                PodUnknown(pod=pod.name, ready=pod.ready, reason="timeout")
                if pod.name in self.silent
                else pod.sample(
                    self.now,
                    self.service,
                    threads=self.threads,
                    limit=self.limit,
                    memory=self.memory_limit,
                    tracked=self.tracked,
                    waits=self.waiting_share is not None,
                )
                for pod in self.pods
            ),
            refused=tuple(
                RefusedResize(
                    pod=pod.name, why=Refusal.DEFERRED, granted=granted, message="no room"
                )
                for pod in self.pods
                if (granted := self._refused.get(pod.name))
            ),
        )

    def busier(self, times: float) -> Fleet:
        """What the operator would see had ``times`` the requests come since the last tick.

        Only their number differs: those that came in addition are still queued.
        """
        came = self.rate * self.spec.interval / max(1, len(self.pods))
        more = round((times - 1) * came)
        fleet = self.fleet()
        pods = (
            structs.replace(pod, accept_queue_depth=pod.accept_queue_depth + more)
            if isinstance(pod, PodSample)
            else pod
            for pod in fleet.pods
        )
        return replace(fleet, pods=tuple(pods))

    def free(self) -> None:
        """All nodes have room again, and what they refused is forgotten."""
        self.grants = lambda _: None
        self._refused.clear()

    def restart(self, index: int) -> None:
        """The pod's container restarts, with all its counters."""
        old = self.pods[index]
        self.pods[index] = Pod(old.name, born=self.now, ready=True, generation=old.generation + 1)

    def restart_operator(self) -> None:
        """The next operator continues from the checkpoint of this one."""
        self.state = State(memory=restored(checkpoint(self.state)))

    def serve(self, seconds: float) -> None:
        """Serve for ``seconds`` without decisions."""
        for _ in range(round(seconds / STEP)):
            self.now = round(self.now + STEP, 6)
            for pod in self.pods:
                pod.ready = pod.ready or self.now >= pod.born + self.pod_start
            serving = [pod for pod in self.pods if pod.ready]
            arrivals = self.rate * STEP
            if self.noise is not None:
                arrivals = max(0.0, self.noise.gauss(arrivals, arrivals**0.5))
            arrivals = self._with_retries(arrivals)
            for pod in serving:
                pod.step(
                    self.now,
                    arrivals / len(serving),
                    service=self.service,
                    upstream=self.upstream,
                    outage=self.outage,
                    threads=self.threads,
                    stream=self.stream,
                    waiting_share=self.waiting_share,
                )

    def _with_retries(self, arrivals: float) -> float:
        """First tries and those that come again; what comes during an outage fails."""
        tries = [arrivals] + [0.0] * self.retries
        while self._again and self._again[0][0] <= self.now:
            for number, again in enumerate(self._again.popleft()[1], start=1):
                tries[number] += again
        if self.outage and self.retries:
            self._again.append((self.now + self.upstream + 2.0, tuple(tries[:-1])))
        return sum(tries)

    def _act(self, decision: Decision) -> None:
        self.replicas = decision.replicas
        while len(self.pods) < decision.replicas:
            self.pods.append(Pod(f"pod-{self._born}", born=self.now))
            self._born += 1
        del self.pods[decision.replicas :]
        for pod in self.pods:
            workers = self._granted(pod, decision.workers)
            if pod.name not in self.silent and pod.wanted != workers:
                pod.order(workers, self.now)

    def _granted(self, pod: Pod, workers: int) -> int:
        """The workers that the pod gets. More are refused, and that is remembered."""
        most = self.grants(int(pod.name.removeprefix("pod-")))
        if most is None or workers <= most:
            return workers
        self._refused[pod.name] = most
        return most


def condition(decision: Decision, kind: str) -> tuple[bool | None, str]:
    """Status and message of one condition."""
    found = next(each for each in decision.conditions if each.type == kind)
    return found.status, found.message
