"""A worker's loop in simulated time: one server, first come first served, with a limit or without.

A request costs the loop `work` in two halves around a `wait` outside it; a refused one costs
`refusal`. Arrivals are Poisson; `varied` waits are exponential.
"""

import heapq
import random
from collections import deque
from dataclasses import dataclass, field

from aiapi_runtime.limits.adaptive import AdaptiveLimit, LimitWindow

WINDOW = 0.1


@dataclass
class Outcome:
    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    def at(self, share: float) -> float:
        return sorted(self.latencies)[int(len(self.latencies) * share)]


class WorkerModel:
    def __init__(
        self, limit: AdaptiveLimit | None, *, work=0.003, wait=0.06, refusal=0.00003, varied=False
    ):
        self.limit = limit
        self.work, self.wait, self.refusal = work, wait, refusal
        self.varied = varied
        self.random = random.Random(3)  # noqa: S311 - a simulation
        self.jobs = []
        self.number = 0
        self.now = 0.0
        self.open = 0
        self.queue = deque()
        self.reset_window()

    def reset_window(self):
        self.busy = self.seconds = 0.0
        self.answered, self.peak = 0, self.open

    def later(self, at, job, *args):
        self.number += 1
        heapq.heappush(self.jobs, (at, self.number, job, args))

    def spend(self, seconds):
        self.busy += seconds
        self.now += seconds

    def run(self, rate, seconds, settle=2.0):
        """The requests that came after the first `settle` seconds."""
        self.outcome = Outcome()
        begin = self.now
        at, end = begin, begin + settle + seconds
        while (at := at + self.random.expovariate(rate)) < end:
            self.later(at, self.arrive, at, at > begin + settle)
        self.later(begin + WINDOW, self.tick, end)
        while self.jobs:
            ready, _, job, args = heapq.heappop(self.jobs)
            self.now = max(self.now, ready)
            job(*args)
        return self.outcome

    def arrive(self, at, counted):
        self.spend(self.refusal)
        if self.limit is None or (self.open < self.limit.limit and not self.queue):
            self.admit(at, counted)
        elif len(self.queue) < max(1, int(self.limit.limit / 8)):
            deadline = min(0.5, max(0.005, self.limit.base / 4))
            self.queue.append((self.now + deadline, at, counted))
        else:
            self.outcome.refused += counted

    def admit(self, at, counted):
        self.open += 1
        self.peak = max(self.peak, self.open)
        self.later(self.now, self.begin, at, counted, self.now)

    def begin(self, at, counted, began):
        self.spend(self.work / 2)
        wait = self.random.expovariate(1 / self.wait) if self.varied else self.wait
        self.later(self.now + wait, self.finish, at, counted, began)

    def finish(self, at, counted, began):
        self.spend(self.work / 2)
        if counted:
            self.outcome.latencies.append(self.now - at)
        self.later(self.now, self.release, began)

    def release(self, began):
        self.seconds += self.now - began
        self.answered += 1
        self.open -= 1
        while self.queue and self.open < self.limit.limit:
            deadline, at, counted = self.queue.popleft()
            if deadline >= self.now:
                self.admit(at, counted)
            else:
                self.outcome.refused += counted

    def tick(self, end):
        mean = self.seconds / max(1, self.answered)
        if self.limit is not None:
            share = min(1.0, self.busy / WINDOW)
            self.limit.update(LimitWindow(mean, self.answered, self.peak, share))
        self.reset_window()
        if self.now < end:
            self.later(self.now + WINDOW, self.tick, end)
